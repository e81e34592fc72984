/* ireko version. */
#include <stdio.h>

#include "cli/cli.h"

int cli_version(int argc, char **argv)
{
    if (cli_has_arguments(argc, argv))
        return CLI_USAGE;
    puts("ireko " IREKO_VERSION);
    return CLI_OK;
}
