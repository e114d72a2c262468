// Runs a fuzz target over every file of a directory: the corpus, with any compiler and under every sanitizer.
#include "target.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

int main(int count, char** arguments) {
  CHECK(count == 2);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    CHECK(!in.bad());
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++files;
  }
  CHECK(files > 0);
  std::printf("  %zu inputs\n", files);
  return 0;
}
