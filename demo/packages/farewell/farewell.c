#include <greet.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct greeting greeting = greet("parting");
    printf("%s, %s! This is farewell with %s.\n", greeting.text, argc > 1 ? argv[1] : "world", greet_library());
    return 0;
}
