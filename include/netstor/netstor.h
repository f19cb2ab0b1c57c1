// SPDX-License-Identifier: Apache-2.0
#pragma once
// netstor: remote volumes and buckets from your own memory, in user space. Start here.
//
//   #include <netstor/netstor.h>
//   using namespace netstor;
//
//   Task<void> copy_first_block(Volume from, Volume to) {
//     NETSTOR_TRY(Buffer block, Buffer::allocate(4096));
//     NETSTOR_CHECK(co_await from.read(0, block.bytes()));
//     NETSTOR_CHECK(co_await to.write(0, block.bytes(), {.force_unit_access = true}));
//     co_return ok();
//   }
//
//   int main() {
//     Runtime runtime = *Runtime::start();
//     Volume from = *Volume::open(runtime, "nvme+tcp://10.0.0.1/nqn.2026-01.io.example:disk").get();
//     Volume to = *Volume::open(runtime, "file:///tmp/copy").get();
//     auto done = runtime.shard(0).run_on([=] { return copy_first_block(from, to); }).get();
//     if (!done) std::cerr << done.error() << '\n';
//   }
//
// Reading order: result.h (errors) · future.h, task.h, cancel.h (later) · shard.h (where things run) ·
// buffer.h (memory) · uri.h, options.h · volume.h, bucket.h (storage) · capabilities.h, metrics.h, trace.h
// (seeing in). Drivers of your own: ext/driver.h, ext/link.h, ext/device.h.

#include <netstor/bucket.h>
#include <netstor/buffer.h>
#include <netstor/cancel.h>
#include <netstor/capabilities.h>
#include <netstor/future.h>
#include <netstor/metrics.h>
#include <netstor/options.h>
#include <netstor/result.h>
#include <netstor/shard.h>
#include <netstor/task.h>
#include <netstor/trace.h>
#include <netstor/uri.h>
#include <netstor/version.h>
#include <netstor/volume.h>
