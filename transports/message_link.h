// SPDX-License-Identifier: Apache-2.0
#pragma once
// Message links: what cards carry between two ends that reach into each other's memory (RDMA). Messages
// arrive whole, each in a buffer that was laid out before; beside them either end moves bytes into or out of
// what the other has opened to it. docs/decisions/0007 says why this is no Link.
//
// The rules of ext/driver.h hold, and these:
//  - Pieces of reads and writes, and of messages longer than inline_bytes, lie in memory that `reaches()`:
//    the link's own scratch(), or what Port::register_memory() was given.
//  - Operations of a link complete in the order in which they were submitted; but those that need no card (a
//    window of a card without windows, whatever is submitted to a link that is broken) at once.
//  - A write that is complete has its pieces back. Over iWARP that says nothing of the other end: a message
//    behind it does, which never comes before it; elsewhere the bytes are there.
//  - open() lets the peer into memory until close of that window; the bytes stay lent until then, whatever
//    became of the operation that they were opened for.
//  - After a failure, and after close(), nothing of the card's touches any of the memory: only then does an
//    operation complete.

#include <netstor/ext/driver.h>

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>

namespace netstor {

inline constexpr unsigned kMessagePiecesMax = 18;
/// What goes with a connection's request and with its answer; enough for any card's connection manager.
inline constexpr std::size_t kMessagePrivateMax = 56;

/// Memory of one end as the other names it.
struct RemoteMemory {
  std::uint64_t address = 0;
  std::uint32_t key = 0;
};

/// What a link shall be able to do; everything is allocated and registered when it is made.
struct MessageShape {
  std::uint32_t receive_bytes = 0;  ///< the longest message from the peer
  std::uint16_t receives = 0;       ///< messages that the peer may have under way
  bool shared_receives = false;     ///< from one queue with the shard's other links
  std::uint16_t operations = 0;     ///< messages and openings and closings of windows in flight
  std::uint16_t transfers = 0;      ///< reads and writes in flight
  std::uint16_t windows = 0;
  std::size_t scratch_bytes = 0;
  /// Only on cards whose writes lie in the peer's memory when they complete
  /// (MessagePort::acknowledges_writes()).
  bool acknowledged_writes = false;
};

/// What private data a connection began with; a card's connection manager may put zeroes behind it.
struct MessageGreeting {
  std::byte bytes[256] = {};
  std::size_t length = 0;
  std::span<const std::byte> view() const noexcept { return {bytes, length}; }
};

struct MessageOp : Op {
  enum class Verb : std::uint8_t {
    send,          ///< a message
    read,          ///< the peer's memory into the pieces
    write,         ///< the pieces into the peer's memory
    close_window,  ///< the peer is let out of `window`
  };
  Verb verb = Verb::send;
  bool prompt = true;  ///< somebody waits for its completion; else it may come with a later one's
  std::uint16_t window = 0;
  const iovec* pieces = nullptr;  ///< borrowed until complete, list included
  unsigned piece_count = 0;
  RemoteMemory remote;        ///< of reads and writes
  std::uint32_t end_key = 0;  ///< send: ends the peer's window of this key with the message; 0: none
};

class MessageLink;

/// Told of what comes. Called from Port::poll().
class MessageObserver {
 public:
  /// A message lies in receive buffer `receive` until MessageLink::give_back(receive); of shared receives
  /// when the link was closed, too, and has to be given back then; of others until `closed` completes.
  /// `ended_key`: the window that the peer has left with it, 0 for none.
  virtual void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                            std::uint32_t ended_key) noexcept = 0;
  /// The link is broken; close() it. What was in flight completes as that ends.
  virtual void link_lost(OpResult why) noexcept = 0;

 protected:
  ~MessageObserver() = default;
};

class MessageLink {
 public:
  virtual ~MessageLink() = default;  ///< closed links only

  /// Called once. A link that has broken by then says so later, from Port::poll(); so does one to which a
  /// message came before, which nobody was there to take: that breaks it.
  virtual void observe(MessageObserver& observer) noexcept = 0;
  /// Nothing goes over it any more: link_lost() was called, or is about to be.
  virtual bool broken() const noexcept = 0;
  virtual Submit submit(MessageOp& op) = 0;
  /// Lets the peer into `memory`, to read or to write, before any operation that is submitted afterwards.
  /// Nothing where the memory is not registered, or no place is left. `opened`, unless it is null or nothing
  /// is answered, completes when the window is open: for who tells the peer of it by another way.
  virtual std::optional<RemoteMemory> open_window(std::uint16_t window, iovec memory, bool writable,
                                                  MessageOp* opened) = 0;
  /// The peer has left it by itself (message_came()).
  virtual void window_ended(std::uint16_t window) noexcept = 0;
  /// Windows end by the peer's word, too. Otherwise open_window() registers its bytes for that time,
  /// registered though they may be, and the peer's word ends nothing.
  virtual bool has_windows() const noexcept = 0;

  virtual bool reaches(const iovec* pieces, unsigned piece_count) const noexcept = 0;
  /// What was registered with the bytes in it; empty when they are in none. Who relies on it for longer than
  /// its owner says registers it again, and forgets it once more: the last one counts.
  virtual MutableBytes registered_around(iovec memory) const noexcept = 0;
  virtual MutableBytes scratch() noexcept = 0;
  virtual void give_back(std::uint32_t receive) noexcept = 0;
  virtual std::uint32_t inline_bytes() const noexcept = 0;
  /// So many more messages, openings and closings are accepted; a read or write counts for transfer_works().
  virtual unsigned room() const noexcept = 0;
  virtual unsigned transfer_works() const noexcept = 0;

  /// What the peer answered, or asked, when the connection was made.
  virtual const MessageGreeting& greeting() const noexcept = 0;

  /// Ends the link: everything in flight completes from poll(), as cancelled or as what it became; then
  /// `closed` completes. Called once; nothing is submitted afterwards.
  virtual void close(Op& closed) = 0;
  virtual std::string_view peer() const noexcept = 0;
  /// "rxe0, RoCE": the card and what it speaks.
  virtual std::string describe() const = 0;
};

/// Connects a link. On success `link` is set; refused by the peer, `greeting` is what it said to that.
struct MessageConnectOp : Op {
  Address address;
  Time deadline = Time::max();
  MessageShape shape;
  std::span<const std::byte> private_data;  ///< the caller's until complete
  std::unique_ptr<MessageLink> link;
  MessageGreeting greeting;
  std::string detail;  ///< on failure: what to add to the error's text
};

/// A port that has them. Its listen() gives tickets for adopt_messages() or refuse_messages().
class MessagePort : public Port {
 public:
  /// Whether links that come to a numeric `address` may have MessageShape::acknowledged_writes; of one for
  /// all cards: whether any may. Over iWARP a write is complete when it has left; a message behind it comes
  /// behind it, but what goes another way may be there before.
  virtual Result<bool> acknowledges_writes(const Address& address) = 0;
  virtual void connect_messages(MessageConnectOp& op) = 0;
  /// Asks to stop it: it completes soon, as cancelled or as what it became.
  virtual void cancel_messages(MessageConnectOp& op) = 0;
  /// What came with the request.
  virtual const MessageGreeting& asked(const Ticket& ticket) const noexcept = 0;
  /// The ticket is used up, on failure too: then the peer is refused with `refusal`. One of the failures is
  /// that not all that was registered could be: who accepts has nothing else to move data through.
  virtual Result<std::unique_ptr<MessageLink>> adopt_messages(const Ticket& ticket, const MessageShape& shape,
                                                              std::span<const std::byte> private_data,
                                                              std::span<const std::byte> refusal) = 0;
  virtual void refuse_messages(const Ticket& ticket, std::span<const std::byte> private_data) noexcept = 0;
};

}  // namespace netstor
