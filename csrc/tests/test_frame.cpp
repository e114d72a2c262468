#include "check.hpp"
#include "exact_copy.hpp"
#include "ttp/frame.hpp"
#include "ttp/frame_writer.hpp"

#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using ttp::Bytes;
using ttp::FrameHeader;
using ttp::FrameLayout;
using ttp::FrameView;
using ttp::FrameWriter;

constexpr std::string_view kName = "ingest";
constexpr std::string_view kQueue = "default";
constexpr std::string_view kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr ttp::FrameTexts kTexts{kName, kQueue, kTrace};

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

FrameHeader header_of(uint64_t fid, uint64_t origin) {
  FrameHeader header;
  header.fid = fid;
  header.origin = origin;
  header.created_at = 1'700'000'000'000'000;
  header.flags = ttp::kFlagResults;
  header.attempt = 3;
  header.deferrals = 2;
  header.priority = 2;
  header.crashes = 1;
  for (size_t i = 0; i < header.producer.size(); ++i) header.producer[i] = static_cast<uint8_t>(i + 1);
  return header;
}

std::vector<std::string> rows_of(size_t count) {
  std::vector<std::string> rows;
  rows.reserve(count);
  for (size_t i = 0; i < count; ++i) rows.emplace_back(i % 23, static_cast<char>('a' + i % 26));
  return rows;
}

std::vector<uint8_t> one_shot(const FrameHeader& header, const std::vector<std::string>& rows) {
  size_t size = 0;
  for (const auto& row : rows) size += row.size();
  const FrameLayout layout(kTexts, size, rows.size(), header.derived());
  std::vector<uint8_t> frame(layout.length, 0xee);
  ttp::write_frame(
      frame.data(), header, layout, kTexts, [&](size_t i) { return bytes_of(rows[i]); },
      [](size_t i) { return 2 * i + 1; });
  return frame;
}

std::vector<uint8_t> appended(const FrameHeader& header, const std::vector<std::string>& rows, size_t capacity) {
  std::vector<uint8_t> memory(capacity, 0xee);
  FrameWriter writer(memory.data(), memory.size(), kTexts, 0, false);
  for (const auto& row : rows) {
    CHECK(writer.fits(row.size()));
    writer.append(bytes_of(row).data, row.size());
  }
  CHECK(writer.count() == rows.size());
  memory.resize(writer.seal(header));
  return memory;
}

void check_contents(const FrameView& view, const FrameHeader& header, const std::vector<std::string>& rows) {
  CHECK(view.name() == kName && view.queue() == kQueue && view.trace() == kTrace && view.count() == rows.size());
  CHECK(view.header().fid == header.fid && view.header().origin == header.origin);
  CHECK(view.header().created_at == header.created_at && view.header().flags == header.flags);
  CHECK(view.header().attempt == header.attempt && view.header().deferrals == header.deferrals);
  CHECK(view.header().priority == header.priority && view.header().crashes == header.crashes);
  CHECK(view.header().producer == header.producer);
  for (size_t i = 0; i < rows.size(); ++i) {
    CHECK(view.row(i).text() == rows[i]);
    CHECK(view.index(i) == (header.derived() ? 2 * i + 1 : i));
  }
}

void what_is_written_is_read() {
  for (const size_t count : std::initializer_list<size_t>{1, 2, 3, 7, 64, 2'000}) {
    for (const bool derived : {false, true}) {
      const FrameHeader header = header_of(5, derived ? 4 : 5);
      const auto rows = rows_of(count);
      const auto frame = one_shot(header, rows);
      FrameView view;
      CHECK(view.parse(frame.data(), frame.size()) == nullptr);
      check_contents(view, header, rows);
    }
  }
}

void row_by_row_gives_the_same_bytes() {
  for (const size_t count : std::initializer_list<size_t>{1, 2, 3, 64, 999}) {
    const FrameHeader header = header_of(9, 9);
    const auto rows = rows_of(count);
    const auto expected = one_shot(header, rows);
    CHECK(appended(header, rows, 1 << 17) == expected);
    CHECK(appended(header, rows, expected.size()) == expected);  // not a byte to spare
  }
}

void a_writer_knows_when_it_is_full() {
  std::vector<uint8_t> memory(1'000, 0xee);
  FrameWriter writer(memory.data(), memory.size(), kTexts, 0, false);
  const std::string row(9, 'r');
  while (writer.fits(row.size())) writer.append(bytes_of(row).data, row.size());
  CHECK(writer.needed(row.size()) > 1'000 && writer.needed(0) <= 1'000);
  const size_t full = writer.count();
  CHECK(full > 10);
  writer.truncate(full - 2);
  CHECK(writer.fits(row.size()));
  std::vector<uint8_t> larger(5'000, 0xee);
  writer.move_to(larger.data(), larger.size());
  for (int i = 0; i < 100; ++i) writer.append(bytes_of(row).data, row.size());
  const FrameHeader header = header_of(1, 1);
  const size_t length = writer.seal(header);
  FrameView view;
  CHECK(view.parse(larger.data(), length) == nullptr);
  check_contents(view, header, std::vector<std::string>(full - 2 + 100, row));
}

// The rest of a frame that was cut keeps the indices its rows had there.
void the_rest_of_a_cut_frame_has_an_index() {
  const auto rows = rows_of(5);
  std::vector<uint8_t> memory(1'000, 0xee);
  FrameWriter writer(memory.data(), memory.size(), kTexts, 40, true);
  for (const auto& row : rows) writer.append(bytes_of(row).data, row.size());
  FrameView view;
  CHECK(view.parse(memory.data(), writer.seal(header_of(8, 7))) == nullptr);
  CHECK(view.count() == rows.size() && view.header().derived());
  for (size_t i = 0; i < rows.size(); ++i) CHECK(view.index(i) == 40 + i && view.row(i).text() == rows[i]);
}

void a_frame_ends_at_the_most_rows() {
  std::vector<uint8_t> memory(1 << 17);
  FrameWriter writer(memory.data(), memory.size(), kTexts, 0, false);
  const uint8_t row = 0x90;
  while (writer.fits(1)) writer.append(&row, 1);
  CHECK(writer.count() == ttp::kMaxRows);
  FrameView view;
  CHECK(view.parse(memory.data(), writer.seal(header_of(1, 1))) == nullptr && view.count() == ttp::kMaxRows);
}

// Reads everything that a frame which was accepted gives access to.
void read_all(const FrameView& view) {
  volatile uint8_t sink = 0;
  for (const char c : view.name()) sink = static_cast<uint8_t>(c);
  for (const char c : view.queue()) sink = static_cast<uint8_t>(c);
  for (size_t i = 0; i < view.count(); ++i) {
    const Bytes row = view.row(i);
    for (size_t j = 0; j < row.size; ++j) sink = row.data[j];
    sink = static_cast<uint8_t>(view.index(i));
  }
  (void)sink;
}

void sign(ExactCopy& frame) {
  ttp::detail::store_le(frame.data() + frame.size() - 4, ttp::crc32c(frame.data(), frame.size() - 4));
}

void truncated_anywhere_it_is_refused() {
  const auto frame = one_shot(header_of(5, 4), rows_of(5));
  for (size_t size = 0; size < frame.size(); ++size) {
    ExactCopy part(frame.data(), size);
    FrameView view;
    CHECK(view.parse(part.data(), size) != nullptr);
    if (size < ttp::kHeaderSize + ttp::kTrailerSize) continue;
    ttp::detail::store_le(part.data() + 56, static_cast<uint32_t>(size));  // and if length and CRC agree
    sign(part);
    const bool only_padding_is_gone = size > frame.size() - 8;
    CHECK(only_padding_is_gone || view.parse(part.data(), size) != nullptr);
  }
}

void any_flipped_bit_is_noticed() {
  const auto frame = one_shot(header_of(5, 4), rows_of(5));
  for (size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    ExactCopy copy(frame.data(), frame.size());
    copy.flip(bit);
    FrameView view;
    CHECK(view.parse(copy.data(), copy.size()) != nullptr);
  }
}

// With a CRC that is right again every check behind it is reached; what passes them can be read in full.
void forged_frames_do_no_harm() {
  std::mt19937_64 random(3);
  size_t accepted = 0;
  for (const uint64_t origin : {uint64_t{4}, uint64_t{5}}) {
    const auto frame = one_shot(header_of(5, origin), rows_of(5));
    const auto attempt = [&](ExactCopy& copy) {
      sign(copy);
      FrameView view;
      if (view.parse(copy.data(), copy.size()) != nullptr) return;
      ++accepted;
      read_all(view);
    };
    for (size_t bit = 0; bit < 8 * (frame.size() - 4); ++bit) {
      ExactCopy copy(frame.data(), frame.size());
      copy.flip(bit);
      attempt(copy);
    }
    for (int round = 0; round < 20'000; ++round) {
      ExactCopy copy(frame.data(), frame.size());
      for (uint64_t flips = 1 + random() % 4; flips != 0; --flips) {
        // Header and directory more often than rows; now and then a whole byte.
        const size_t byte = random() % (random() % 4 == 0 ? frame.size() - 4 : size_t{144});
        copy.flip(8 * byte + random() % 8);
        if (random() % 4 == 0) copy.data()[byte] = static_cast<uint8_t>(random());
      }
      attempt(copy);
    }
  }
  CHECK(accepted > 0);
}

void names_are_checked() {
  CHECK(ttp::is_name("a.b") && ttp::is_name("\xc3\xa9") && !ttp::is_name("") && !ttp::is_name("\xff"));
  CHECK(!ttp::is_name("\xed\xa0\x80") && !ttp::is_name("\xc0\x80") && !ttp::is_name("\xe2\x82"));
  CHECK(ttp::is_name(std::string(255, 'n')) && !ttp::is_name(std::string(256, 'n')));
  CHECK(ttp::is_queue("a-b_c.9") && !ttp::is_queue("") && !ttp::is_queue("a b") && !ttp::is_queue("\xc3\xa9"));
  CHECK(ttp::is_queue(std::string(64, 'q')) && !ttp::is_queue(std::string(65, 'q')));
}

}  // namespace

int main() {
  std::puts("frame");
  RUN(what_is_written_is_read);
  RUN(row_by_row_gives_the_same_bytes);
  RUN(a_writer_knows_when_it_is_full);
  RUN(the_rest_of_a_cut_frame_has_an_index);
  RUN(a_frame_ends_at_the_most_rows);
  RUN(truncated_anywhere_it_is_refused);
  RUN(any_flipped_bit_is_noticed);
  RUN(forged_frames_do_no_harm);
  RUN(names_are_checked);
}
