// Lets a thread without the GIL wait for those that have it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace ttp::bindings {

// The flag is guarded by the GIL, the epoch by the mutex, which is held for a few instructions only and
// never while asking for the GIL. A signal costs nothing but a look at the flag while nobody waits.
class Wakeup {
 public:
  bool awaited() const noexcept { return awaited_; }

  // With the GIL, before waiting. Returns what to hand to `wait`.
  uint64_t arm() noexcept {
    awaited_ = true;
    const std::scoped_lock lock(mutex_);
    return epoch_;
  }

  // Without the GIL. False if no signal came after `arm` within the timeout.
  bool wait(uint64_t armed_at, std::chrono::nanoseconds timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return epoch_ != armed_at; });
  }

  // With the GIL.
  void signal() noexcept {
    awaited_ = false;
    {
      const std::scoped_lock lock(mutex_);
      ++epoch_;
    }
    changed_.notify_all();
  }

 private:
  bool awaited_ = false;
  uint64_t epoch_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace ttp::bindings
