.globl _start
_start:
    .option push
    .option norelax
    lla gp, __global_pointer$
    .option pop
    mv a0, sp
    lui t0, 0xfffff
    and sp, sp, t0
    mv ra, zero
    call __servin_start
    unimp
