#include <stdio.h>

int main(void)
{
    puts("418 I'm a teapot");
    return 0;
}
