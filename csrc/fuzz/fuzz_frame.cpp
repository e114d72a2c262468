// Frames and result blocks from anything. What claims to be a frame is also tried with its length and CRC put
// right, or nothing would get past them; what then reads is taken apart, written as a derived frame and read again.
#include "target.hpp"

#include "ttp/frame.hpp"
#include "ttp/results.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace {

using ttp::Bytes;
using ttp::FrameView;

void check_same(Bytes a, Bytes b) { CHECK(a.text() == b.text()); }

void derive(const FrameView& view) {
  ttp::FrameHeader header = view.header();
  header.fid = header.origin == UINT64_MAX ? 1 : header.origin + 1;
  size_t rows = 0;
  for (size_t row = 0; row < view.count(); ++row) rows += view.row(row).size;
  const ttp::FrameLayout layout(view.texts(), rows, view.count(), true);
  if (layout.length > ttp::kMaxFrame) return;
  std::vector<uint8_t> frame(layout.length);
  ttp::write_frame(
      frame.data(), header, layout, view.texts(), [&](size_t i) { return view.row(i); },
      [&](size_t i) { return view.index(i); });
  FrameView again;
  CHECK(again.parse(frame.data(), frame.size()) == nullptr);
  CHECK(again.count() == view.count() && again.name() == view.name() && again.queue() == view.queue() &&
        again.trace() == view.trace());
  CHECK(again.header().attempt == view.header().attempt && again.header().origin == view.header().origin);
  for (size_t row = 0; row < view.count(); ++row) {
    CHECK(again.index(row) == view.index(row));
    check_same(again.row(row), view.row(row));
  }
}

void parse(const uint8_t* data, size_t size) {
  FrameView view;
  if (view.parse(data, size) == nullptr) derive(view);
}

void parse_results(const uint8_t* data, size_t size) {
  ttp::ResultView view;
  if (view.parse(data, size) != nullptr) return;
  CHECK(view.entries().size() * 7 <= size);
  size_t values = 0;
  for (const ttp::ResultEntry& entry : view.entries())
    values = std::accumulate(entry.value.data, entry.value.data + entry.value.size, values + entry.value.size);
  CHECK(values <= 256 * size);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > ttp::kMaxFrame) return 0;
  ExactCopy copy(data, size);
  parse_results(copy.data(), size);
  parse(copy.data(), size);
  if (size < ttp::kHeaderSize + ttp::kTrailerSize) return 0;
  ttp::detail::store_le(copy.data() + 56, static_cast<uint32_t>(size));
  ttp::detail::store_le(copy.data() + size - 8, uint32_t{0});
  ttp::detail::store_le(copy.data() + size - 4, ttp::crc32c(copy.data(), size - 4));
  parse(copy.data(), size);
  return 0;
}
