#include <greet.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct greeting greeting = greet("meeting");
    printf("%s, %s! This is greeter with %s.\n", greeting.text, argc > 1 ? argv[1] : "world", greet_library());
    return 0;
}
