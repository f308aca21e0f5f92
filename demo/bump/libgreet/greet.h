#ifndef GREET_H
#define GREET_H

/* A greeting, handed over by value: its layout is part of what programs are compiled against. */
struct greeting {
    const char *text;
    const char *language;
};

struct greeting greet(const char *occasion);

/* What is loaded at run time, for example "libgreet 1.0 (libgreet.so.1)". */
const char *greet_library(void);

#endif
