.globl _start
_start:
    mov x29, xzr
    mov x30, xzr
    mov x0, sp
    and sp, x0, -4096
    bl __servin_start
    brk 1
