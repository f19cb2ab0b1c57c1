// SPDX-License-Identifier: Apache-2.0
#pragma once
// A list of members that know where they are: taking one out needs no search, putting one in twice is
// nothing. For the port's "who is to be looked at".

namespace netstor::posix {

template <class Tag>
struct Member {
  Member* before = nullptr;
  Member* after = nullptr;

  bool listed() const noexcept { return before != nullptr; }
  void unlist() noexcept {
    if (!listed()) return;
    before->after = after;
    after->before = before;
    before = after = nullptr;
  }
};

/// Of T, which derives from Member<Tag>.
template <class T, class Tag>
class List {
 public:
  List() noexcept { end_.before = end_.after = &end_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  bool empty() const noexcept { return end_.after == &end_; }
  void add(T& item) noexcept {
    Member<Tag>& member = item;
    if (member.listed()) return;
    member.before = end_.before;
    member.after = &end_;
    end_.before->after = &member;
    end_.before = &member;
  }
  T& take() noexcept {
    Member<Tag>& first = *end_.after;
    first.unlist();
    return static_cast<T&>(first);
  }
  /// `visit` may take out what it is given.
  template <class F>
  void for_each(F visit) {
    for (Member<Tag>* at = end_.after; at != &end_;) {
      Member<Tag>* const after = at->after;
      visit(static_cast<T&>(*at));
      at = after;
    }
  }

 private:
  Member<Tag> end_;
};

}  // namespace netstor::posix
