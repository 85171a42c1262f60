// SPDX-License-Identifier: GPL-2.0-only
///
/// Find node ids that are taken from a page, a pfn or a zone and become the hint of an
/// allocation, are kept in a structure for one, or say what to reclaim or to migrate.
/// For a page on a CDM node such a hint names the device.
///
// Confidence: Moderate
// Options: --no-includes --include-headers
// Text: \b((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)\(

virtual context
virtual seen

@depends on context@
identifier of =~ "^((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)$";
identifier f =~ "alloc|on_node|populate|target|create|add_memory|migrate|reclaim|init_section";
@@

* f(..., of(...), ...)

@depends on context exists@
identifier of =~ "^((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)$";
identifier f =~ "alloc|on_node|populate|target|create|add_memory|migrate|reclaim|init_section";
idexpression n;
@@

 n = of(...)
 ... when any
* f(..., <+... n ...+>, ...)

@depends on context@
identifier of =~ "^((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)$";
expression e, x;
identifier fld;
@@

(
* e.fld = of(...)
|
* e->fld = of(...)
|
* e->fld = x ? of(...) : ...
|
* e->fld = x ? ... : of(...)
)

@depends on context exists@
identifier of =~ "^((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)$";
idexpression n;
expression e;
identifier fld;
@@

 n = of(...)
 ... when any
(
* e.fld = n
|
* e->fld = n
|
* e->fld[n]++
)

@depends on context@
identifier of =~ "^((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)$";
identifier T, s, fld;
@@

 struct T s = {
* .fld = of(...),
 };

@depends on seen@
identifier of =~ "^((early_)?pfn_to_nid|page_to_nid|folio_nid|slab_nid|zone_to_nid)$";
@@

* of(...)
