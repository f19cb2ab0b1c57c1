// SPDX-License-Identifier: Apache-2.0
#pragma once
// The headers of libibverbs and librdmacm, which are C and want some warnings off.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#pragma GCC diagnostic pop
