// SPDX-License-Identifier: GPL-2.0
/* Coherent device memory: the tracepoints' own code. */
#define CREATE_TRACE_POINTS
#include <trace/events/cdm.h>
