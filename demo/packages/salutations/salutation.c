#include <greet.h>
#include <stdio.h>

int main(void)
{
    struct greeting greeting = greet(OCCASION);
    printf("%s! This is salutations with %s.\n", greeting.text, greet_library());
    return 0;
}
