// Bytes on the heap with nothing behind them, so that the address sanitizer sees a read one byte too far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

class ExactCopy {
 public:
  ExactCopy(const uint8_t* data, size_t size) : size_(size), bytes_(std::make_unique<uint8_t[]>(size)) {
    if (size != 0) std::memcpy(bytes_.get(), data, size);
  }

  uint8_t* data() noexcept { return bytes_.get(); }
  size_t size() const noexcept { return size_; }
  void flip(size_t bit) noexcept { bytes_[bit / 8] = static_cast<uint8_t>(bytes_[bit / 8] ^ (1u << bit % 8)); }

 private:
  size_t size_;
  std::unique_ptr<uint8_t[]> bytes_;
};
