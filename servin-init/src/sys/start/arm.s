.globl _start
.arm
_start:
    mov fp, #0
    mov lr, #0
    mov r0, sp
    bic sp, sp, #0xff0
    bic sp, sp, #15
    bl __servin_start
    udf #0
