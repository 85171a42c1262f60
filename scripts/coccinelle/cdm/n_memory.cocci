// SPDX-License-Identifier: GPL-2.0-only
///
/// Find what looks at the set of nodes with memory. A CDM node is not in it: who
/// places pages by it leaves the node alone, and who only reports misses the node
/// unless it asks node_has_memory() or walks for_each_memory_node().
///
// Confidence: High
// Options: --no-includes --include-headers
// Text: \b(N_MEMORY|(first|next)_memory_node)\b

virtual context
virtual seen

@depends on context || seen@
symbol N_MEMORY, first_memory_node;
@@

(
* N_MEMORY
|
* first_memory_node
|
* next_memory_node(...)
)
