#include "check.hpp"
#include "exact_copy.hpp"
#include "ttp/column_frame.hpp"

#include <random>
#include <string>
#include <vector>

namespace {

using ttp::Bytes;
using ttp::Column;
using ttp::ColumnLayout;
using ttp::ColumnType;
using ttp::FrameHeader;
using ttp::FrameView;
using ttp::GatheredColumn;

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

// Buffers of three rows: a number, a text that the second row has not, a value.
struct Sample {
  std::string numbers = std::string("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0", 24);
  std::string validity = std::string("\5", 1);
  std::string codes = std::string("\1\0\0\0\0\0\0\0\0\0\0\0", 12);
  std::string text_ends = std::string("\0\0\0\0\2\0\0\0\3\0\0\0", 12);
  std::string texts = "abc";
  std::string value_ends = std::string("\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0", 16);
  std::string values = "\x01\x02\x03";

  std::vector<Column> columns() const {
    Column number, text, value;
    number.name = "n";
    number.type = ColumnType::Int64;
    number.data = bytes_of(numbers);
    text.name = "text";
    text.type = ColumnType::String;
    text.validity = bytes_of(validity);
    text.data = bytes_of(codes);
    text.offsets = bytes_of(text_ends);
    text.values = bytes_of(texts);
    value.name = "value";
    value.type = ColumnType::Value;
    value.offsets = bytes_of(value_ends);
    value.values = bytes_of(values);
    return {number, text, value};
  }
};

std::vector<uint8_t> frame_of(const std::vector<Column>& columns, size_t count, uint64_t origin) {
  FrameHeader header;
  header.fid = 7;
  header.origin = origin;
  const ColumnLayout layout({"t", "q", {}}, columns, count, header.derived());
  std::vector<uint8_t> frame(layout.length, 0xee);
  ttp::write_column_frame(frame.data(), header, layout, {"t", "q", {}}, columns, count, [](size_t i) { return 2 * i; });
  return frame;
}

void reads_what_was_written() {
  const Sample sample;
  const auto columns = sample.columns();
  for (const Column& column : columns) CHECK(column.check(3) == nullptr);
  const auto frame = frame_of(columns, 3, 7);
  FrameView view;
  CHECK(view.parse(frame.data(), frame.size()) == nullptr);
  CHECK(view.columnar() && view.count() == 3 && view.columns().size() == 3);
  CHECK(view.columns()[0].number(2) == 3);
  CHECK(view.columns()[1].text(view.columns()[1].code(0)).text() == "c");
  CHECK(!view.columns()[1].valid(1));
  CHECK(view.columns()[0].data.data - frame.data() >= 64 && (view.columns()[0].data.data - frame.data()) % 64 == 0);
  ttp::ByteWriter row(1000);
  CHECK(ttp::write_row(row, view.columns(), 1));
  CHECK(std::string(reinterpret_cast<const char*>(row.data()), row.size()) == "\x93\x02\xc0\x02");
}

void gathers_rows() {
  const Sample sample;
  std::vector<GatheredColumn> gathered;
  std::vector<Column> columns;
  for (const Column& column : sample.columns()) {
    gathered.emplace_back(column, std::vector<size_t>{0, 2});
    columns.push_back(gathered.back().column());
  }
  for (const Column& column : columns) CHECK(column.check(2) == nullptr);
  const auto frame = frame_of(columns, 2, 9);
  FrameView view;
  CHECK(view.parse(frame.data(), frame.size()) == nullptr);
  CHECK(view.index(1) == 2);
  CHECK(view.columns()[0].number(1) == 3);
  CHECK(view.columns()[1].valid(1) && view.columns()[1].text(view.columns()[1].code(1)).text() == "ab");
  CHECK(view.columns()[2].text(1).text() == "\x03");
}

// Whatever is damaged: refused, or readable to the last row without a step outside.
void damaged_frames_are_safe() {
  const Sample sample;
  const auto frame = frame_of(sample.columns(), 3, 7);
  std::mt19937 random(3);
  size_t refused = 0;
  for (int turn = 0; turn < 20'000; ++turn) {
    ExactCopy copy(frame.data(), frame.size());
    copy.flip(random() % (8 * (frame.size() - 8)));
    copy.flip(random() % (8 * (frame.size() - 8)));
    ttp::detail::store_le(copy.data() + copy.size() - 4, ttp::crc32c(copy.data(), copy.size() - 4));
    FrameView view;
    if (view.parse(copy.data(), copy.size()) != nullptr) {
      ++refused;
      continue;
    }
    for (size_t row = 0; view.columnar() && row < view.count(); ++row) {
      ttp::ByteWriter out(size_t{1} << 20);
      CHECK(ttp::write_row(out, view.columns(), row));
    }
  }
  CHECK(refused > 0 && refused < 20'000);
  for (size_t size = 0; size < frame.size(); ++size) {
    ExactCopy copy(frame.data(), size);
    FrameView view;
    CHECK(view.parse(copy.data(), size) != nullptr);
  }
}

}  // namespace

int main() {
  RUN(reads_what_was_written);
  RUN(gathers_rows);
  RUN(damaged_frames_are_safe);
  return 0;
}
