.globl _start
_start:
    .option push
    .option norelax
    lla gp, __global_pointer$
    .option pop
    mv a0, sp
    andi sp, sp, -16
    mv ra, zero
    call __servin_start
    unimp
