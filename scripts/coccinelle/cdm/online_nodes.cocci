// SPDX-License-Identifier: GPL-2.0-only
///
/// Find loops over all online or all possible nodes that allocate on each node, or that
/// reclaim, compact or migrate each node's pages. Unlike a walk over N_MEMORY, they meet
/// CDM nodes.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Text: \bfor_each_(online_)?node\b|\bfor_each_node_state\(|< *(nr_node_ids|MAX_NUMNODES)\b

virtual context
virtual seen

@depends on context@
iterator I =~ "^for_each_(online_)?node$";
iterator name for_each_node_state;
symbol N_ONLINE, N_POSSIBLE;
identifier f =~ "alloc|on_node|create|reserve|declare|compact|reclaim|drop_|shrink_|migrate|_run$";
idexpression n;
expression e;
statement S;
@@

(
 I(n) {
  <+...
* f(..., <+... n ...+>, ...)
  ...+>
 }
|
 I(n)
* f(..., <+... n ...+>, ...);
|
 I(n)
* e = f(..., <+... n ...+>, ...);
|
 I(n)
* if (<+... f(..., <+... n ...+>, ...) ...+>)
  S
|
 for_each_node_state(n, \(N_ONLINE\|N_POSSIBLE\)) {
  <+...
* f(..., <+... n ...+>, ...)
  ...+>
 }
)

@depends on context@
identifier f =~ "alloc|on_node|create|reserve|declare|compact|reclaim|drop_|shrink_|migrate|_run$";
identifier limit =~ "^(nr_node_ids|MAX_NUMNODES)$";
idexpression n;
@@

 for (...; n < limit; ...) {
  <+...
* f(..., <+... n ...+>, ...)
  ...+>
 }

@depends on seen@
iterator I =~ "^for_each_(online_node|node|node_state)$";
expression n;
expression list es;
statement S;
@@

* I(n, es)
  S

@depends on seen@
identifier limit =~ "^(nr_node_ids|MAX_NUMNODES)$";
expression n;
@@

* n < limit
