// The least a test needs: a check that says where it failed, and a line for each test that ran.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: CHECK(%s) failed\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                      \
    }                                                                                    \
  } while (false)

#define RUN(test)          \
  do {                     \
    std::puts("  " #test); \
    std::fflush(stdout);   \
    test();                \
  } while (false)
