// Preloaded into Python: the nth allocation of a thread, by operator new or by Python's allocators, fails.
#include <Python.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

thread_local long left = 0;  // allocations until one fails; 0: none does
thread_local long seen = 0;
std::atomic<long> living{0};  // what operator new has given and not got back

bool fails() {
  ++seen;
  return left > 0 && --left == 0;
}

void* give(std::size_t size) {
  if (fails()) return nullptr;
  void* block = std::malloc(size);
  living.fetch_add(1, std::memory_order_relaxed);  // a statistic: read when nothing runs
  return block;
}

void take(void* block) {
  if (block != nullptr) living.fetch_sub(1, std::memory_order_relaxed);
  std::free(block);
}

struct Domain {
  PyMemAllocatorEx real;
};
Domain domains[3];

void* py_malloc(void* ctx, std::size_t size) {
  auto& real = static_cast<Domain*>(ctx)->real;
  return fails() ? nullptr : real.malloc(real.ctx, size);
}
void* py_calloc(void* ctx, std::size_t count, std::size_t size) {
  auto& real = static_cast<Domain*>(ctx)->real;
  return fails() ? nullptr : real.calloc(real.ctx, count, size);
}
void* py_realloc(void* ctx, void* block, std::size_t size) {
  auto& real = static_cast<Domain*>(ctx)->real;
  return fails() ? nullptr : real.realloc(real.ctx, block, size);
}
void py_free(void* ctx, void* block) {
  auto& real = static_cast<Domain*>(ctx)->real;
  real.free(real.ctx, block);
}

}  // namespace

void* operator new(std::size_t size) {
  if (void* block = give(size)) return block;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return give(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return give(size); }
void operator delete(void* block) noexcept { take(block); }
void operator delete[](void* block) noexcept { take(block); }
void operator delete(void* block, std::size_t) noexcept { take(block); }
void operator delete[](void* block, std::size_t) noexcept { take(block); }

extern "C" {
// Python's allocators fail too, from now on.
void hook_python(void) {
  const PyMemAllocatorDomain which[] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
  for (int i = 0; i < 3; ++i) {
    PyMem_GetAllocator(which[i], &domains[i].real);
    PyMemAllocatorEx failing = {&domains[i], py_malloc, py_calloc, py_realloc, py_free};
    PyMem_SetAllocator(which[i], &failing);
  }
}
// The nth allocation of this thread from now on fails; 0: none.
void fail_nth(long n) {
  left = n;
  seen = 0;
}
// No allocation fails any more; how many there were since.
long fail_none(void) {
  left = 0;
  return seen;
}
long living_blocks(void) { return living.load(std::memory_order_relaxed); }
}
