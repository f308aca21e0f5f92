#include "greet.h"

#include <string.h>

struct greeting greet(const char *occasion)
{
    struct greeting greeting = { "Hello" };
    if (strcmp(occasion, "morning") == 0)
        greeting.text = "Good morning";
    else if (strcmp(occasion, "evening") == 0)
        greeting.text = "Good evening";
    else if (strcmp(occasion, "parting") == 0)
        greeting.text = "Goodbye";
    return greeting;
}

const char *greet_library(void)
{
    return "libgreet " GREET_VERSION " (" GREET_SONAME ")";
}
