// A driver that uses C's structured exception handling, to check unwinding against what a real
// compiler writes. `seh.sys` is this file, built by
//
//   clang --target=x86_64-pc-windows-msvc -O1 -fms-extensions -fno-builtin -mno-stack-arg-probe -c seh.c
//   lld-link /DRIVER /SUBSYSTEM:NATIVE /ENTRY:DriverEntry /NODEFAULTLIB /Brepro seh.obj ntoskrnl.lib /OUT:seh.sys
//
// with an import library made by llvm-dlltool from: ExRaiseStatus, __C_specific_handler,
// KeGetCurrentIrql of ntoskrnl.exe.

typedef unsigned long u32;
typedef unsigned long long u64;

__declspec(dllimport) void ExRaiseStatus(long status);
__declspec(dllimport) unsigned char KeGetCurrentIrql(void);

static volatile u64 Log;
static volatile double Zero;

static void Note(u64 digit) { Log = Log * 10 + digit; }

__declspec(noinline) static u64 Read(volatile u64 *at) { return *at; }

__declspec(dllexport) u64 Catch(volatile u64 *at) {
    u64 result = 0;
    __try {
        result = Read(at);
    } __except (1) {
        result = (u32)__exception_code();
    }
    return result;
}

// Inner to outer: filter (no), termination handler, filter (yes).
__declspec(dllexport) u64 Order(void) {
    Log = 0;
    __try {
        __try {
            __try {
                ExRaiseStatus(0xC0000123);
            } __finally {
                Note(_abnormal_termination() ? 3 : 9);
            }
        } __except (Note(1), 0) {
            Note(8);
        }
    } __except (Note(2), __exception_code() == 0xC0000123) {
        Note(4);
    }
    return Log;
}

__declspec(noinline) static u64 Sum(const volatile u64 *values, u64 count) {
    u64 sum = 0;
    for (u64 i = 0; i < count; i++) sum += values[i];
    return sum;
}

// A frame with a variable size, nonvolatile registers and doubles kept over the call.
__declspec(noinline) static double Deep(u64 depth, double x, volatile u64 *at) {
    volatile u64 *room = __builtin_alloca((depth + 1) * 64);
    for (u64 i = 0; i < (depth + 1) * 8; i++) room[i] = i;
    double y = x * 3.0 + Zero;
    if (depth == 0) return y + (double)*at;
    double below = Deep(depth - 1, y, at);
    return below + y + (double)Sum(room, depth);
}

__declspec(dllexport) u64 Registers(volatile u64 *at, u64 a, u64 b, u64 c) {
    double x = (double)a;
    u64 result = 0;
    __try {
        result = (u64)Deep(5, x, at);
    } __except (1) {
        result = a * 100 + b * 10 + c;
    }
    return result + (u64)(x * 1000.0);
}

__declspec(noinline) static u64 ReturnsFromTry(u64 value) {
    __try {
        if (KeGetCurrentIrql() == 0) return value;
        Note(7);
    } __finally {
        // Returning is abnormal, too.
        Note(_abnormal_termination() ? 1 : 9);
    }
    return 0;
}

__declspec(dllexport) u64 Leave(void) {
    Log = 0;
    u64 value = ReturnsFromTry(50);
    __try {
        if (value == 50) __leave;
        Note(8);
    } __finally {
        Note(2);
    }
    return Log + value * 1000;
}

typedef struct { u32 Code, Flags; void *Nested; void *Address; u32 Count; u64 Information[15]; } Record;
typedef struct { Record *Record; void *Context; } Pointers;

__declspec(noinline) static long Filter(Pointers *p, u64 expected) {
    Note(p->Record->Code == 0xC0000005 && p->Record->Information[1] == expected ? 1 : 9);
    // An exception inside the filter, handled there.
    __try {
        Read((volatile u64 *)8);
    } __except (1) {
        Note(2);
    }
    return 1;
}

__declspec(dllexport) u64 Nested(volatile u64 *at) {
    Log = 0;
    u64 local = 7;
    __try {
        Read(at);
    } __except (Filter((Pointers *)__exception_info(), (u64)at + local - 7)) {
        Note(3);
    }
    return Log;
}

// The second exception replaces the first, from inside its termination handler.
__declspec(dllexport) u64 Collide(volatile u64 *at) {
    Log = 0;
    __try {
        __try {
            __try {
                Read(at);
            } __finally {
                Note(1);
                ExRaiseStatus(0xC0000200);
            }
        } __finally {
            Note(2);
        }
    } __except (1) {
        Note(3);
        if ((u32)__exception_code() != 0xC0000200) Note(9);
    }
    return Log;
}

// Handler inside a handler, and raising again from one.
__declspec(dllexport) u64 Again(volatile u64 *at) {
    Log = 0;
    __try {
        __try {
            Read(at);
        } __except (1) {
            Note(1);
            ExRaiseStatus((long)0xC0000300);
        }
    } __except (1) {
        Note(2);
    }
    return Log;
}

__declspec(dllexport) u64 Unhandled(volatile u64 *at) {
    return Read(at) + 1;
}

long DriverEntry(void *driver, void *path) {
    (void)driver;
    (void)path;
    return 0;
}

int _fltused;
