/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: what happens to a device and to those who want its memory.
 * Documented in Documentation/trace/events-cdm.rst. "device" is the N of cdmN.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM cdm

#if !defined(_TRACE_CDM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_CDM_H

#include <linux/tracepoint.h>

TRACE_EVENT(cdm_state,

	TP_PROTO(unsigned int device, int nid, const char *state),

	TP_ARGS(device, nid, state),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__array(char, state, 12)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		strscpy_pad(__entry->state, state, sizeof(__entry->state));
	),

	TP_printk("device=%u node=%d state=%s", __entry->device, __entry->nid, __entry->state)
);

TRACE_EVENT(cdm_progress,

	TP_PROTO(unsigned int device, int nid, unsigned long online, unsigned long blocks),

	TP_ARGS(device, nid, online, blocks),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__field(unsigned long, online)
		__field(unsigned long, blocks)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		__entry->online = online;
		__entry->blocks = blocks;
	),

	TP_printk("device=%u node=%d online=%lu blocks=%lu", __entry->device, __entry->nid,
		  __entry->online, __entry->blocks)
);

TRACE_EVENT(cdm_drain_blocked,

	TP_PROTO(unsigned int device, int nid, int error, unsigned long driver,
		 unsigned long pinned, unsigned long bad, unsigned long user, long ram),

	TP_ARGS(device, nid, error, driver, pinned, bad, user, ram),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__field(int, error)
		__field(unsigned long, driver)
		__field(unsigned long, pinned)
		__field(unsigned long, bad)
		__field(unsigned long, user)
		__field(long, ram)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		__entry->error = error;
		__entry->driver = driver;
		__entry->pinned = pinned;
		__entry->bad = bad;
		__entry->user = user;
		__entry->ram = ram;
	),

	TP_printk("device=%u node=%d error=%d driver=%lu pinned=%lu bad=%lu user=%lu ram=%ld",
		  __entry->device, __entry->nid, __entry->error, __entry->driver,
		  __entry->pinned, __entry->bad, __entry->user, __entry->ram)
);

TRACE_EVENT(cdm_alloc_failed,

	TP_PROTO(unsigned int device, int nid, unsigned long pages, unsigned int flags),

	TP_ARGS(device, nid, pages, flags),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__field(unsigned long, pages)
		__field(unsigned int, flags)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		__entry->pages = pages;
		__entry->flags = flags;
	),

	TP_printk("device=%u node=%d pages=%lu flags=%#x", __entry->device, __entry->nid,
		  __entry->pages, __entry->flags)
);

TRACE_EVENT(cdm_evict,

	TP_PROTO(unsigned int device, int nid, unsigned long wanted, unsigned long evicted),

	TP_ARGS(device, nid, wanted, evicted),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__field(unsigned long, wanted)
		__field(unsigned long, evicted)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		__entry->wanted = wanted;
		__entry->evicted = evicted;
	),

	TP_printk("device=%u node=%d wanted=%lu evicted=%lu", __entry->device, __entry->nid,
		  __entry->wanted, __entry->evicted)
);

TRACE_EVENT(cdm_spill,

	TP_PROTO(unsigned int device, int nid, unsigned long pages, long used),

	TP_ARGS(device, nid, pages, used),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__field(unsigned long, pages)
		__field(long, used)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		__entry->pages = pages;
		__entry->used = used;
	),

	TP_printk("device=%u node=%d pages=%lu used=%ld", __entry->device, __entry->nid,
		  __entry->pages, __entry->used)
);

TRACE_EVENT(cdm_retire,

	TP_PROTO(unsigned int device, int nid, unsigned long pfn),

	TP_ARGS(device, nid, pfn),

	TP_STRUCT__entry(
		__field(unsigned int, device)
		__field(int, nid)
		__field(unsigned long, pfn)
	),

	TP_fast_assign(
		__entry->device = device;
		__entry->nid = nid;
		__entry->pfn = pfn;
	),

	TP_printk("device=%u node=%d pfn=%#lx", __entry->device, __entry->nid, __entry->pfn)
);

#endif /* _TRACE_CDM_H */

#include <trace/define_trace.h>
