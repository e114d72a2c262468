// A fuzz target is one function. libFuzzer calls it with what it makes up, replay.cpp with what is kept.
#pragma once

#include "../tests/check.hpp"
#include "../tests/exact_copy.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
