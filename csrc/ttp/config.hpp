// What every header of the core may rely on.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>

// States a precondition. Checked in debug and sanitizer builds; costs nothing in release builds.
#define TTP_ASSERT(condition) assert(condition)

namespace ttp {

// A constant, not std::hardware_destructive_interference_size: that one differs between compiler flags,
// and GCC warns of it in headers for this reason.
constexpr size_t kCacheLine = 64;

static_assert(std::atomic<uint64_t>::is_always_lock_free, "queue, pool and histogram rely on it");

}  // namespace ttp
