/*
 * Does a data-access library belong to a runtime? It does not check that itself: one of another
 * build reads structures that are laid out otherwise, and crashes or lies.
 */
#ifndef DUMPERS_RUNTIME_DOTNET_DAC_H
#define DUMPERS_RUNTIME_DOTNET_DAC_H

#include "base/blob.h"

/*
 * 0 when dac is the data-access library of the very build of runtime (libcoreclr.so, or a program
 * that has it inside) and a glibc program of its CPU can load it. A program that names the
 * library's build-id (DotNetRuntimeInfo) gets that one and no other; else version and commit, which
 * both were compiled with, must be the same. Else *e says what differs:
 * -ERR_CORRUPT        one of them is no ELF file
 * -ERR_UNSUPPORTED    dac is another library, is made for musl or another CPU, or one of them
 *                     says no version
 * -ERR_NOT_FOUND      dac is of another version or build
 */
int dotnet_dac_check(struct blob *runtime, struct blob *dac, struct err *e);

#endif
