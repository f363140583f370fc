/* Names of types. */
#ifndef DUMPERS_DOTNET_TYPE_NAME_H
#define DUMPERS_DOTNET_TYPE_NAME_H

#include "base/buf.h"

/*
 * Appends a name as the runtime keeps it, "Crate`1[[Depot.Parcel, Depot]]", in the way in which
 * Type.ToString() has it: "Crate`1[Depot.Parcel]", without the assemblies of its arguments.
 * Control bytes become "?". Whatever else the name is, it is copied as it is.
 */
int type_name_append(const char *name, size_t len, struct buf *ret, struct err *e);
/*
 * The same for a method with its parameters' types, "Depot.Desk.Sell(Int32, List`1<Int64> ByRef)",
 * of which the types are written otherwise: "Depot.Desk.Sell(System.Int32,
 * List`1[System.Int64]&)".
 */
int method_name_append(const char *name, size_t len, struct buf *ret, struct err *e);

#endif
