// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/date.h"

#include <algorithm>

#include "lib/wire/http/text.h"

namespace netstor::http {

namespace {

using namespace std::chrono;

constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::string_view kLongDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Parts {
  unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, millisecond = 0, weekday = 0;
};

// Out of range is shown as the nearest that the form can say.
Parts parts_of(WallTime time) {
  const sys_time<milliseconds> first = sys_days(1970y / January / 1);
  const sys_time<milliseconds> last = sys_days(9999y / December / 31) + hours(24) - milliseconds(1);
  const auto clamped = std::clamp(floor<milliseconds>(time), first, last);
  const auto day = floor<days>(clamped);
  const year_month_day date(day);
  const hh_mm_ss clock(clamped - day);
  return {.year = static_cast<unsigned>(static_cast<int>(date.year())),
          .month = static_cast<unsigned>(date.month()),
          .day = static_cast<unsigned>(date.day()),
          .hour = static_cast<unsigned>(clock.hours().count()),
          .minute = static_cast<unsigned>(clock.minutes().count()),
          .second = static_cast<unsigned>(clock.seconds().count()),
          .millisecond = static_cast<unsigned>(clock.subseconds().count()),
          .weekday = weekday(day).c_encoding()};
}

class Pen {
 public:
  explicit Pen(DateText& out) : out_(out) {}
  Pen& text(std::string_view value) {
    for (const char each : value) out_.bytes[out_.size++] = each;
    return *this;
  }
  Pen& number(unsigned value, unsigned digits) {
    for (unsigned i = digits; i-- > 0; value /= 10)
      out_.bytes[out_.size + i] = static_cast<char>('0' + value % 10);
    out_.size += digits;
    return *this;
  }

 private:
  DateText& out_;
};

class Eye {
 public:
  explicit Eye(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }
  unsigned number(unsigned digits) {
    if (rest_.size() < digits) return fail();
    const auto value = decode_number(rest_.substr(0, digits));
    rest_.remove_prefix(digits);
    return value ? static_cast<unsigned>(*value) : fail();
  }
  bool take(std::string_view literal) {
    if (!rest_.starts_with(literal)) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  void expect(std::string_view literal) {
    if (!take(literal)) fail();
  }
  // 1 for the first of the names.
  template <std::size_t N>
  unsigned name(const std::string_view (&names)[N]) {
    for (unsigned i = 0; i < N; ++i) {
      if (take(names[i])) return i + 1;
    }
    return fail();
  }
  // Up to nine digits as nanoseconds.
  std::int64_t fraction() {
    std::int64_t value = 0;
    unsigned digits = 0;
    for (; !rest_.empty() && is_digit(rest_.front()) && digits < 9; ++digits, rest_.remove_prefix(1))
      value = value * 10 + (rest_.front() - '0');
    if (digits == 0) fail();
    for (; digits < 9; ++digits) value *= 10;
    return value;
  }
  void clock(Parts& out, std::string_view between) {
    out.hour = number(2);
    expect(between);
    out.minute = number(2);
    expect(between);
    out.second = number(2);
  }

 private:
  unsigned fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<sys_seconds> time_of(const Parts& parts) {
  const year_month_day date(year(static_cast<int>(parts.year)), month(parts.month), day(parts.day));
  // A leap second is shown as the one after it.
  if (!date.ok() || parts.year < 1970 || parts.hour > 23 || parts.minute > 59 || parts.second > 60)
    return std::nullopt;
  return sys_days(date) + hours(parts.hour) + minutes(parts.minute) + seconds(parts.second);
}

// The clock's own range ends before the year 9999 where it counts nanoseconds.
std::optional<WallTime> wall(std::optional<sys_seconds> time, nanoseconds more = {}) {
  if (!time || *time >= floor<seconds>(WallTime::max())) return std::nullopt;
  return WallTime(duration_cast<WallTime::duration>(time->time_since_epoch() + more));
}

}  // namespace

DateText encode_http_date(WallTime time) {
  const Parts parts = parts_of(time);
  DateText out;
  Pen(out)
      .text(kDays[parts.weekday])
      .text(", ")
      .number(parts.day, 2)
      .text(" ")
      .text(kMonths[parts.month - 1])
      .text(" ")
      .number(parts.year, 4)
      .text(" ")
      .number(parts.hour, 2)
      .text(":")
      .number(parts.minute, 2)
      .text(":")
      .number(parts.second, 2)
      .text(" GMT");
  return out;
}

std::optional<WallTime> decode_http_date(std::string_view text) {
  Parts parts;
  Eye eye(text);
  const std::size_t comma = text.find(',');
  if (comma == 3) {
    eye.name(kDays);
    eye.expect(", ");
    parts.day = eye.number(2);
    eye.expect(" ");
    parts.month = eye.name(kMonths);
    eye.expect(" ");
    parts.year = eye.number(4);
    eye.expect(" ");
    eye.clock(parts, ":");
    eye.expect(" GMT");
  } else if (comma != std::string_view::npos) {
    eye.name(kLongDays);
    eye.expect(", ");
    parts.day = eye.number(2);
    eye.expect("-");
    parts.month = eye.name(kMonths);
    eye.expect("-");
    // Two digits that would lie far in the future mean the past century; S3 is younger than 1970.
    parts.year = eye.number(2);
    parts.year += parts.year < 70 ? 2000 : 1900;
    eye.expect(" ");
    eye.clock(parts, ":");
    eye.expect(" GMT");
  } else {
    eye.name(kDays);
    eye.expect(" ");
    parts.month = eye.name(kMonths);
    eye.expect(" ");
    parts.day = eye.take(" ") ? eye.number(1) : eye.number(2);
    eye.expect(" ");
    eye.clock(parts, ":");
    eye.expect(" ");
    parts.year = eye.number(4);
  }
  return eye.at_end() ? wall(time_of(parts)) : std::nullopt;
}

DateText encode_basic_date(WallTime time) {
  const Parts parts = parts_of(time);
  DateText out;
  Pen(out).number(parts.year, 4).number(parts.month, 2).number(parts.day, 2).text("T");
  Pen(out).number(parts.hour, 2).number(parts.minute, 2).number(parts.second, 2).text("Z");
  return out;
}

DateText encode_iso_date(WallTime time) {
  const Parts parts = parts_of(time);
  DateText out;
  Pen(out).number(parts.year, 4).text("-").number(parts.month, 2).text("-").number(parts.day, 2).text("T");
  Pen(out).number(parts.hour, 2).text(":").number(parts.minute, 2).text(":").number(parts.second, 2);
  Pen(out).text(".").number(parts.millisecond, 3).text("Z");
  return out;
}

std::optional<WallTime> decode_iso_date(std::string_view text) {
  Parts parts;
  Eye eye(text);
  parts.year = eye.number(4);
  const bool extended = eye.take("-");
  parts.month = eye.number(2);
  if (extended) eye.expect("-");
  parts.day = eye.number(2);
  eye.expect("T");
  eye.clock(parts, extended ? ":" : "");
  nanoseconds more{};
  if (eye.take(".")) more = nanoseconds(eye.fraction());
  if (!eye.take("Z")) {
    const int sign = eye.take("+") ? -1 : 1;
    if (sign == 1) eye.expect("-");
    const unsigned offset_hours = eye.number(2);
    if (extended) eye.expect(":");
    const unsigned offset_minutes = eye.number(2);
    if (offset_hours > 23 || offset_minutes > 59) return std::nullopt;
    more += sign * (hours(offset_hours) + minutes(offset_minutes));
  }
  return eye.at_end() ? wall(time_of(parts), more) : std::nullopt;
}

}  // namespace netstor::http
