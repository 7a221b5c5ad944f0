/*
 * libssh2 as windlass uses it: on Linux, with mbedTLS, without what a machine
 * made in this decade never asks for.
 */

#ifndef WINDLASS_LIBSSH2_CONFIG_H
#define WINDLASS_LIBSSH2_CONFIG_H

#define HAVE_UNISTD_H
#define HAVE_INTTYPES_H
#define HAVE_SYS_SELECT_H
#define HAVE_SYS_UIO_H
#define HAVE_SYS_SOCKET_H
#define HAVE_SYS_IOCTL_H
#define HAVE_SYS_TIME_H
#define HAVE_SYS_UN_H
#define HAVE_ARPA_INET_H
#define HAVE_NETINET_IN_H

#define HAVE_GETTIMEOFDAY
#define HAVE_STRTOLL
#define HAVE_SNPRINTF
#define HAVE_EXPLICIT_BZERO
#define HAVE_POLL
#define HAVE_O_NONBLOCK

/* neither offered nor accepted */
#define LIBSSH2_NO_MD5
#define LIBSSH2_NO_MD5_PEM
#define LIBSSH2_NO_HMAC_RIPEMD
#define LIBSSH2_NO_AES_CBC
#define LIBSSH2_NO_BLOWFISH
#define LIBSSH2_NO_RC4
#define LIBSSH2_NO_CAST
#define LIBSSH2_NO_3DES

#endif
