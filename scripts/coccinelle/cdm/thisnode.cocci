// SPDX-License-Identifier: GPL-2.0-only
///
/// Find what asks for, tests or clears __GFP_THISNODE. With it a movable allocation
/// whose node is a CDM node gets device memory: its zones are in NOFALLBACK.
///
// Confidence: High
// Options: --no-includes --include-headers
// Text: \b__GFP_THISNODE\b

virtual context
virtual seen

@depends on context || seen@
symbol __GFP_THISNODE;
@@

* __GFP_THISNODE
