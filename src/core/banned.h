/*
 * Functions that this house does not use. Included last by core/core.h, so
 * that every file of ours sees it; a use is a compile error that names the
 * replacement.
 */
#ifndef CORE_BANNED_H
#define CORE_BANNED_H

#define BANNED(f, use) f##_is_banned__use_##use

#undef strcpy
#define strcpy(...)	BANNED(strcpy, str_or_buf)
#undef strncpy
#define strncpy(...)	BANNED(strncpy, str_or_buf)
#undef strcat
#define strcat(...)	BANNED(strcat, buf)
#undef strncat
#define strncat(...)	BANNED(strncat, buf)
#undef sprintf
#define sprintf(...)	BANNED(sprintf, snprintf)
#undef vsprintf
#define vsprintf(...)	BANNED(vsprintf, vsnprintf)
#undef strtok
#define strtok(...)	BANNED(strtok, str_cut)
#undef strtok_r
#define strtok_r(...)	BANNED(strtok_r, str_cut)
#undef gets
#define gets(...)	BANNED(gets, fs_read)
#undef asctime
#define asctime(...)	BANNED(asctime, time_rfc3339)
#undef ctime
#define ctime(...)	BANNED(ctime, time_rfc3339)
#undef gmtime
#define gmtime(...)	BANNED(gmtime, gmtime_r)
#undef localtime
#define localtime(...)	BANNED(localtime, localtime_r)
#undef atoi
#define atoi(...)	BANNED(atoi, str_to_int)
#undef alloca
#define alloca(...)	BANNED(alloca, arena_alloc)
#undef system
#define system(...)	BANNED(system, proc_spawn)
#undef popen
#define popen(...)	BANNED(popen, proc_spawn)

#endif
