/* The process that holds the DAC: an exec of podsnap by its hidden verb "dac-host". */
#ifndef DUMPERS_DOTNET_DAC_HOST_H
#define DUMPERS_DOTNET_DAC_HOST_H

/*
 * Confines itself, loads the library of DAC_LIBRARY_FD and answers on DAC_SOCKET_FD until that is
 * closed. Returns the exit status. Nothing here is of use to a person.
 */
int dac_host_main(void);

#endif
