/*
 * Certificates and keys from fixed bytes: what is read of them, what is
 * refused and in which words. That peers agree is tested in e2e/test_net.py.
 */
#include <arpa/inet.h>

#include "net/ssh.h"
#include "net/sshkey.h"
#include "net/tls.h"
#include "net/x509.h"
#include "tap.h"
#include "wire/pem.h"

static const char cert_san[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIB9TCCAZugAwIBAgIUa9Q/3qHLAXBMB8SvRksc4j5hvi0wCgYIKoZIzj0EAwIw\n"
    "KjEWMBQGA1UEChMNd2luZGxhc3MgdGVzdDEQMA4GA1UEAxMHc2VlZCBDQTAgFw0y\n"
    "MDAxMDEwMDAwMDBaGA8yMDcwMDEwMTAwMDAwMFowGDEWMBQGA1UEChMNd2luZGxh\n"
    "c3MgdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKUUsYG73G+1eJ3BxSs+\n"
    "uUweOe34jB2dMfqtJ7YvseCZmgo1KDMkUGrcpihIQHf38xyaYqrxpTkuXXKunbzw\n"
    "u96jga4wgaswDAYDVR0TAQH/BAIwADATBgNVHSUEDDAKBggrBgEFBQcDATBGBgNV\n"
    "HREEPzA9ggZhLnRlc3SCCCouYi50ZXN0hwQKAAABhxD+gAAAAAAAAAAAAAAAAAAB\n"
    "gQN4QHmGCGh0dHA6Ly96iAIqAzAdBgNVHQ4EFgQUvzHV74PpiW+iXcV8h8dQC9KZ\n"
    "CGgwHwYDVR0jBBgwFoAUC6BPQNjJmEcmW1ev1FWjqQgjIG8wCgYIKoZIzj0EAwID\n"
    "SAAwRQIhAL3yz18eFf6smvHNzJ3xkeYT2TB93gyQAFIA4tXauyTqAiBbedwtcr6m\n"
    "Evx3pcUxjhJ6p9jJRbcYnhHzedhA9x83BQ==\n"
    "-----END CERTIFICATE-----\n";
static const char cert_late[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIB0jCCAXigAwIBAgIUAe0pX+wOciTzY9eucyAg3QpxpYkwCgYIKoZIzj0EAwIw\n"
    "KjEWMBQGA1UEChMNd2luZGxhc3MgdGVzdDEQMA4GA1UEAxMHc2VlZCBDQTAgFw0y\n"
    "MDAxMDEwMDAwMDBaGA8yMDYwMDIwMzA0MDUwNlowGDEWMBQGA1UEChMNd2luZGxh\n"
    "c3MgdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC0b+yXAwCEXDkG5cNo5\n"
    "zB31Y9xsyRAGZhpfHBNtY2eBO2J2NVt1yU+vtp/pUpbGv5PQE/XUA2tnZlcWiH7n\n"
    "fbWjgYswgYgwEgYDVR0TAQH/BAgwBgEB/wIBADAcBgNVHSUBAf8EEjAQBggrBgEF\n"
    "BQcDAgYEVR0lADAUBgNVHREEDTALgglsb2NhbGhvc3QwHQYDVR0OBBYEFIRgU222\n"
    "/P5GWeXTL+cMALRUz2WAMB8GA1UdIwQYMBaAFAugT0DYyZhHJltXr9RVo6kIIyBv\n"
    "MAoGCCqGSM49BAMCA0gAMEUCIDj1AWhC9Egs4cUiB6SHfNd1K0xmBuqaN0q1qvx9\n"
    "2Kp2AiEAgxOi4aHyPBJjh5rRI5xOMWkbhktEe7f7N7tbD50s0TQ=\n"
    "-----END CERTIFICATE-----\n";
static const char cert_cn[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICFDCCAX2gAwIBAgIULXhOMHv8tGzgJmKTWnPVjJDGkgMwDQYJKoZIhvcNAQEL\n"
    "BQAwLTELMAkGA1UEBhMCREUxCjAIBgNVBAoTAW8xEjAQBgNVBAMTCWxvY2FsaG9z\n"
    "dDAgFw0yMDAxMDEwMDAwMDBaGA8yMDcwMDEwMTAwMDAwMFowLTELMAkGA1UEBhMC\n"
    "REUxCjAIBgNVBAoTAW8xEjAQBgNVBAMTCWxvY2FsaG9zdDCBnzANBgkqhkiG9w0B\n"
    "AQEFAAOBjQAwgYkCgYEAoJwXLPTcVmA+byvuLCRrNSpn6prvtss9J7xSjdCMfWUY\n"
    "3UzSs2EKUKpkRBdTSTcF5CfiAPXYQUMBymHuwTLP0puPSxn1ARPryEm00CfaEJ9g\n"
    "f4fSkHU2sOk2EgB+Cx0ws8HPPLoqoqhndPL2uBnQ9qRjTyhCPAyxXmogEWGw0SMC\n"
    "AwEAAaMvMC0wDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUZb/VGkxEM91KCW/6yavW\n"
    "fj/zzlEwDQYJKoZIhvcNAQELBQADgYEAjG+h12a9o25r2Nu7+I/JA7nvm7y+ljxn\n"
    "ktyQaKmJpTfWsHZ+diRq6e1BAiZGMry2WmTGkxZdBy7wFK4hzSz5QK9qCsqIVlck\n"
    "Q2iwkqCZUCyDtRr1plZ/n597A+bgQSyW+RO/VVhAwzkIsqK/Agh3ChKFXKaxlO43\n"
    "o2z5DVgSOaU=\n"
    "-----END CERTIFICATE-----\n";
static const char key_of_san[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIMqz3XHwHawagaIs8yD5poI12JzgdQJWnxdvd6cHtnJroAoGCCqGSM49\n"
    "AwEHoUQDQgAEpRSxgbvcb7V4ncHFKz65TB457fiMHZ0x+q0nti+x4JmaCjUoMyRQ\n"
    "atymKEhAd/fzHJpiqvGlOS5dcq6dvPC73g==\n"
    "-----END EC PRIVATE KEY-----\n";
static const char key_of_other[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIAA8/h00vdgR1CSJRLwFbM/QJQHGJnd95Ytyc+rGnL3LoAoGCCqGSM49\n"
    "AwEHoUQDQgAEST7TLwFJGBzUKuaNOutSabmDuhgLWAdtc/u8lz1wxTxz4pBUnXJY\n"
    "d28GIKEqpItXEGB+KdZ9kryqF+u3d4AOtw==\n"
    "-----END EC PRIVATE KEY-----\n";
static const char ssh_ecdsa[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQRSdFoC7DPwxOYXfsI5zX2aQWtn1qMC\n"
    "UnvRF4Rk8NP+ct2ySIxcdiUp+kaGYrixFxjiraqjzQxNLpRlS95Z2C4BAAAAoLxw0zO8cN\n"
    "MzAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFJ0WgLsM/DE5hd+\n"
    "wjnNfZpBa2fWowJSe9EXhGTw0/5y3bJIjFx2JSn6RoZiuLEXGOKtqqPNDE0ulGVL3lnYLg\n"
    "EAAAAgd7XEEzP5qGGDDL9wuEeI9KHlJV497/YdXfn7wpBiYI4AAAAEc2VlZAECAwQ=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_ecdsa_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoocgb7GIfRGStRYF\n"
    "0zCpo8USFtiBsyST/UfWaPKJdKOhRANCAATZP9ecsXVxk1Jp4T3BDGepUsxqSzW6\n"
    "qIq2glHiDiHfDDA7CqTNOVId6wJY3Sr6No/9xD7lQGIVV/exdE9fZBb+\n"
    "-----END PRIVATE KEY-----\n";
static const char ssh_rsa[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAlwAAAAdzc2gtcn\n"
    "NhAAAAAwEAAQAAAIEA1DhqxWZhgnGykU717xu/EAgf3Ft1Dmw6b4NjZzAStMtgCP9vLTzC\n"
    "vnBg0S0alrNofSKxJ1HGKl9ctwZ+5ANZCiQXBAXIG+D64cZdZOEi+mzn2wT0tb3R04NDJ+\n"
    "tKoIhgWguwSsVw72PWij3DkzmyaiW9A5NZlUJBFpIJHtgIjcUAAAIA0xu0+tMbtPoAAAAH\n"
    "c3NoLXJzYQAAAIEA1DhqxWZhgnGykU717xu/EAgf3Ft1Dmw6b4NjZzAStMtgCP9vLTzCvn\n"
    "Bg0S0alrNofSKxJ1HGKl9ctwZ+5ANZCiQXBAXIG+D64cZdZOEi+mzn2wT0tb3R04NDJ+tK\n"
    "oIhgWguwSsVw72PWij3DkzmyaiW9A5NZlUJBFpIJHtgIjcUAAAADAQABAAAAgBrVs3KYmp\n"
    "XjCKBlKqX8jTFaxaSYj/mt58m4BHbE1mi0GsWofwdqWnm4PhXVLTqHHxxLqbj+Fx++hTvD\n"
    "f4IXhkeN9mBMyw/exOVYtMBedCV2L+MvyagENyYRVszG8TjHo24LQetBcrEzyia6OPR21z\n"
    "htz1dz/0UZ3nQiz4OecFF1AAAAQQCBA6mFrMckS+fOovSMefmrNVssRltEIW1iddS4N+/5\n"
    "jMzkTGk7/+JH0CLNB42gP8HaiJ6XJ/TxyA20IGR8OoMiAAAAQQD1/r33h8/PZ64etNQ4zZ\n"
    "HrKZZyKbpC2GptnHmribU/aSBw4nACqoEduzHTb24XQ0GWD6XGdl3Y/dEQxTeGNYPbAAAA\n"
    "QQDc2gTGsdWyV8sZPpK4kRf+Gkhp/V9zNx+b4T9ywYO9e6MMRUwPeyCgw2Fsl/ZPFSGr43\n"
    "Mi1kUPoO9mxVuRF7bfAAAABHNlZWQBAgMEBQY=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_rsa_pem[] =
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIICXAIBAAKBgQDPm2FnIy4weTmp3WJ6HFInJNGZUa/gsmLf4or5SFIqDTFRT2eu\n"
    "HblHAkGM/T3I4gZHmsyxJlUbN4YfbrSiSXRTvlG9tCallKPI41krR/+OtUvmopof\n"
    "Y/P9df3IwhBHm5Bpo2mwWDGHHwdfCKyDER5/JUdKo5k/1Lo4EpQPNHT6KQIDAQAB\n"
    "AoGAe7buTlXKmpxC3pTMsFPcKPNp6+Gf21iyTxRjGLYeMGz4LKoS8NFJraUMhwYK\n"
    "IYF/mIAI5rAfGz71MBn6jpMTPBlxX8zz6c0XrH5t53higNyrjhg35/I6mzjeYcy2\n"
    "dJgIrXR/vfnyDiyrXVRuoAYuEnoMgqAF/b+8eNm146qtUwECQQDo3/qOddsGJFdF\n"
    "NvI1rFO7Ig1tMHZawjrWe2E7pMDK1KcS+dRpP9Ff9NDbZ333Tu8ILArGgbGrtY55\n"
    "21PSjXCxAkEA5DkNnDUUcDQ1O2zst3xZM4fDjWTwiYnFiXX8G3QUND5W6OwFdHhI\n"
    "qn4i8ByL09rcCIELa4CiRdiEYD0YWu+++QJAfcNgLAmH9GQx4UZQPh5HxdsZByvR\n"
    "7yfP4L8W/r/2AlQfuobDaOe3KiwrkyHsDGBLhM1MMHIgQow1WqfRN/d8sQJAWv5s\n"
    "cMWxGnOWbdUmJJpNroAI9g0y4oOt4PrLw95qV9IrML86BZAX2PJl17pp/dQbOsDI\n"
    "3tnw2UxUq1JwrYE9cQJBAJbZQwtiZRZoLtoyiFNWXlYBoq1C7vNcHZ1a+caA+ypJ\n"
    "yk/FIL0yYM4Ibijd+tHB9FKbGrSi0mnWLzimUOBqGqI=\n"
    "-----END RSA PRIVATE KEY-----\n";
static const char ssh_ed25519[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDyUA79TFN25UYHM16qhxtOp7lGOSs5WZcXaEqUr0eSwwAAAIjRh6Bu0Yeg\n"
    "bgAAAAtzc2gtZWQyNTUxOQAAACDyUA79TFN25UYHM16qhxtOp7lGOSs5WZcXaEqUr0eSww\n"
    "AAAEDcnWGfDUqfxyt+V4uOTp4YkSAPtTGK82W17lAzAJDYnfJQDv1MU3blRgczXqqHG06n\n"
    "uUY5KzlZlxdoSpSvR5LDAAAABHNlZWQB\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_locked[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBVd+RWJp\n"
    "Jks1Tnd3hutEkYAAAAEAAAAAEAAABoAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlz\n"
    "dHAyNTYAAABBBNJKQgs4OdA8RpRJlgjhQwjmx9yR/JOQYbmbMntKbwO267BMmV62+/UVSx\n"
    "jhcIvAPzs6BX+IeJ8VgxsNvGbUz8kAAACgynMViU0pKA2IizbM3pS3C6rgu+8BJHwfmAUz\n"
    "By2fNmX25Oa+fY+zJETP0fIPEbXSTJYrRUXO3KnCnGHXrrf4EaaK88oB0jS2R4xudH+3QK\n"
    "hFrxpS5Vsff/HQ73W7XYRq9sM+MBFnxOR3+jKtnYP6IQRfGYl+PDVBuAdSKz3uUkBcbIjr\n"
    "OR9SwGA+g49E+yvYLNk8zfsJ3rc3AT3Sji305w==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_security_key[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAASgAAABpzay1zc2\n"
    "gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    "AAAAAAAAAARzc2g6AAAAcAAAAAcAAAAHAAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY2\n"
    "9tAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABHNzaDoBAAAAEAAA\n"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAWM=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_ed25519_torn[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDSi2vP+qLQZ5L/oWIYRBis8mbdbdpddMK6X9XYUZHYSQAAAJDxMw+W8TMP\n"
    "lgAAAAtzc2gtZWQyNTUxOQAAACDSi2vP+qPQZ5L/oWIYRBis8mbdbdpddMK6X9XYUZHYSQ\n"
    "AAAECOk18pCpJqvJjrC3SMhxKeMYA9oEIOLslstsEvz6XngdKLa8/6o9Bnkv+hYhhEGKzy\n"
    "Zt1t2l10wrpf1dhRkdhJAAAACHNlZWQga2V5AQIDBAU=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_ed25519_crlf[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\r\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\r\n"
    "QyNTUxOQAAACDSi2vP+qPQZ5L/oWIYRBis8mbdbdpddMK6X9XYUZHYSQAAAJDxMw+W8TMP\r\n"
    "lgAAAAtzc2gtZWQyNTUxOQAAACDSi2vP+qPQZ5L/oWIYRBis8mbdbdpddMK6X9XYUZHYSQ\r\n"
    "AAAECOk18pCpJqvJjrC3SMhxKeMYA9oEIOLslstsEvz6XngdKLa8/6o9Bnkv+hYhhEGKzy\r\n"
    "Zt1t2l10wrpf1dhRkdhJAAAACHNlZWQga2V5AQIDBAU=\r\n"
    "-----END OPENSSH PRIVATE KEY-----\r\n";
static const char pub_ed25519_crlf[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINKLa8/6o9Bnkv+hYhhEGKzyZt1t2l10wrpf1dhRkdhJ";
static const char ssh_ed25519_pkcs8[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEhy4M5dMfpgm4NGN2IHAW5pSzd6R6wAT0nii5a05gAk\n"
    "-----END PRIVATE KEY-----\n";
static const char pub_ed25519_pkcs8[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINqjRh9OMKPgBe8Dj4rl0FRmi2cWbu9zwrQzxQBHwrxv";
static const char ssh_ec384[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQTp/H5OAHq9Jx5xwB6aUDUJJhk+4oNF\n"
    "3YifSrlbZmxJ2XosUFz6M0TwItdKYP+YqhFyrG29yOj+1Z4NxaNw5fLj1SOIKdIZbRdM3R\n"
    "r9HQKHgUsr6iwMwJyMwAlEg1UQ8wQAAADQf+OkZ3/jpGcAAAATZWNkc2Etc2hhMi1uaXN0\n"
    "cDM4NAAAAAhuaXN0cDM4NAAAAGEE6fx+TgB6vSceccAemlA1CSYZPuKDRd2In0q5W2ZsSd\n"
    "l6LFBc+jNE8CLXSmD/mKoRcqxtvcjo/tWeDcWjcOXy49UjiCnSGW0XTN0a/R0Ch4FLK+os\n"
    "DMCcjMAJRINVEPMEAAAAMQC+Fc80yVKDX3pduJrHs6Y1gDuI8dGqjopn1MBrfqrG60efZm\n"
    "sdgvab7KVWyu5054MAAAABcwECAwQFBg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char pub_ec384[] = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBOn8fk4Aer0nHnHAHppQNQkmGT7ig0XdiJ9KuVtmbEnZeixQXPozRPAi10pg/5iqEXKsbb3I6P7Vng3Fo3Dl8uPVI4gp0hltF0zdGv0dAoeBSyvqLAzAnIzACUSDVRDzBA==";
static const char ssh_ec521[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAArAAAABNlY2RzYS\n"
    "1zaGEyLW5pc3RwNTIxAAAACG5pc3RwNTIxAAAAhQQA1W1o2uDW9HRBYxhM3Ws4zprE9wlI\n"
    "sKnkFfA2H2AG34JxqGMBz8z4SjkS7ZHpyH1zYxL1SDBbkDWY65meCmWHnPYABR0wzPv6qP\n"
    "flbS/J4nTJiGfkYSW4g3VmMchsM3/5aW8MYkmB0q15M6iiMPTPSymzWzBXEPlsjdnh7ITE\n"
    "qvviUkcAAAEAKop4qCqKeKgAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQ\n"
    "AAAIUEANVtaNrg1vR0QWMYTN1rOM6axPcJSLCp5BXwNh9gBt+CcahjAc/M+Eo5Eu2R6ch9\n"
    "c2MS9UgwW5A1mOuZngplh5z2AAUdMMz7+qj35W0vyeJ0yYhn5GEluIN1ZjHIbDN/+WlvDG\n"
    "JJgdKteTOoojD0z0sps1swVxD5bI3Z4eyExKr74lJHAAAAQUG4hpCkMn+ywAIiiVfup1ZF\n"
    "9gFE8QDqQRkSdUiygf2IhfM6BHdSSwzNUqHC+f5rK24F2YARAYBO6ObN+3rhiB0RAAAAAX\n"
    "MBAg==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char pub_ec521[] = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADVbWja4Nb0dEFjGEzdazjOmsT3CUiwqeQV8DYfYAbfgnGoYwHPzPhKORLtkenIfXNjEvVIMFuQNZjrmZ4KZYec9gAFHTDM+/qo9+VtL8nidMmIZ+RhJbiDdWYxyGwzf/lpbwxiSYHSrXkzqKIw9M9LKbNbMFcQ+WyN2eHshMSq++JSRw==";
static const char pub_ed25519[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPJQDv1MU3blRgczXqqHG06nuUY5KzlZlxdoSpSvR5LD";
static const char pub_ecdsa[] = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFJ0WgLsM/DE5hd+wjnNfZpBa2fWowJSe9EXhGTw0/5y3bJIjFx2JSn6RoZiuLEXGOKtqqPNDE0ulGVL3lnYLgE=";
static const char pub_ecdsa_pkcs8[] = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNk/15yxdXGTUmnhPcEMZ6lSzGpLNbqoiraCUeIOId8MMDsKpM05Uh3rAljdKvo2j/3EPuVAYhVX97F0T19kFv4=";
#define RSA_MD5	"3f:bd:97:0c:ee:a9:57:94:7f:89:88:16:c3:b3:03:2d"
static const char pub_rsa[] = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDUOGrFZmGCcbKRTvXvG78QCB/cW3UObDpvg2NnMBK0y2AI/28tPMK+cGDRLRqWs2h9IrEnUcYqX1y3Bn7kA1kKJBcEBcgb4Prhxl1k4SL6bOfbBPS1vdHTg0Mn60qgiGBaC7BKxXDvY9aKPcOTObJqJb0Dk1mVQkEWkgke2AiNxQ==";
static const char pub_rsa_pem[] = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDPm2FnIy4weTmp3WJ6HFInJNGZUa/gsmLf4or5SFIqDTFRT2euHblHAkGM/T3I4gZHmsyxJlUbN4YfbrSiSXRTvlG9tCallKPI41krR/+OtUvmopofY/P9df3IwhBHm5Bpo2mwWDGHHwdfCKyDER5/JUdKo5k/1Lo4EpQPNHT6KQ==";

static struct buf
der_of(const char *pem)
{
	struct str text = str_from(pem), label, whole;
	struct buf der = { .max = 65536 };
	struct err e;

	if (pem_next(&text, &label, &der, &whole, &e) != 1)
		abort();
	return der;
}

static const struct {
	const char *name, *pem, *subject, *hosts, *until;
	bool ca, servers, self;
	int version;
} certs[] = {
	{ "alternative names", cert_san, "O=windlass test", "a.test, *.b.test, 10.0.0.1, fe80::1", "2070-01-01T00:00:00Z", false, true, false, 3 },
	{ "dates after 2050", cert_late, "O=windlass test", "localhost", "2060-02-03T04:05:06Z", true, true, false, 3 },
	{ "common name", cert_cn, "C=DE, O=o, CN=localhost", "localhost", "2070-01-01T00:00:00Z", false, true, true, 3 },
};

static void
test_certs(void)
{
	for (size_t i = 0; i < NELEM(certs); i++) {
		struct buf der = der_of(certs[i].pem), shown = { 0 };
		char until[TIME_RFC3339_MAX];
		struct str in = buf_str(&der);
		struct err e = { 0 };
		struct x509 c;
		int64_t t = 0;

		if (!is_int(x509_next(&in, &c, &e), 1, "%s: is read", certs[i].name))
			continue;
		x509_put_name(&shown, c.subject);
		is_str(shown.p, certs[i].subject, "... its subject");
		buf_clear(&shown);
		x509_put_hosts(&shown, &c);
		is_str(shown.p, certs[i].hosts, "... its names");
		time_rfc3339(wall_of_seconds(c.not_after), 0, until);
		is_str(until, certs[i].until, "... its end");
		ok(tls_cert_expiry(str_from(certs[i].pem), &t, &e) == 0 && t == c.not_after, "... told to others too");
		ok(c.ca == certs[i].ca && x509_is_for_servers(&c) == certs[i].servers &&
		    x509_self_issued(&c) == certs[i].self && c.version == certs[i].version, "... and what it may be used for");
		is_int(x509_next(&in, &c, &e), 0, "... and it is the only one");
		buf_free(&der);
		buf_free(&shown);
	}
}

static void
test_addresses(void)
{
	static const struct { const char *ip; bool in; } cases[] = {
		{ "10.0.0.1", true }, { "10.0.0.2", false }, { "0.0.0.1", false },
		{ "fe80::1", true }, { "fe80::2", false }, { "::ffff:10.0.0.1", false },
	};
	struct buf der = der_of(cert_san);
	struct str in = buf_str(&der);
	struct x509 c;

	if (x509_next(&in, &c, NULL) != 1)
		abort();
	for (size_t i = 0; i < NELEM(cases); i++) {
		bool v6 = strchr(cases[i].ip, ':') != NULL;
		uint8_t ip[16];

		inet_pton(v6 ? AF_INET6 : AF_INET, cases[i].ip, ip);
		ok(x509_has_ip(&c, ip, v6 ? 16 : 4) == cases[i].in, "%s is %sin it", cases[i].ip, cases[i].in ? "" : "not ");
	}
	buf_free(&der);
}

/* Nothing shorter is a certificate; and with any byte changed, no reader runs off (the sanitizers watch). */
static void
test_damaged(void)
{
	struct buf der = der_of(cert_san), shown = { 0 };
	size_t taken = 0;
	struct x509 c;

	for (size_t n = 1; n < der.n; n++) {
		/* A block of its own, so that reading behind its end is seen. */
		char *copy = memcpy(xmalloc(n), der.p, n);
		struct str in = str_of(copy, n);

		taken += x509_next(&in, &c, NULL) == 1;
		free(copy);
	}
	is_int((long long)taken, 0, "no beginning of a certificate is one");
	for (size_t i = 0; i < der.n; i++)
		for (int x = 1; x < 256; x <<= 1) {
			struct str in = buf_str(&der);

			der.p[i] = (char)(der.p[i] ^ x);
			if (x509_next(&in, &c, NULL) == 1) {
				buf_clear(&shown);
				x509_put_name(&shown, c.subject);
				x509_put_hosts(&shown, &c);
				taken++;
			}
			der.p[i] = (char)(der.p[i] ^ x);
		}
	ok(taken > 0, "changed ones are read or refused");
	buf_free(&der);
	buf_free(&shown);
}

static void
test_trust(void)
{
	static const struct { const char *name, *pem, *part; bool pin; } bad[] = {
		{ "no certificate", key_of_san, "ca.pem: no certificate", false },
		{ "nothing to pin", "", "ca.pem: no certificate", true },
		{ "no PEM", "hello", "ca.pem: no certificate", false },
		{ "not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ca.pem: certificate 1: not a certificate", false },
	};
	struct err e = { 0 };
	struct tls_trust *t;

	for (size_t i = 0; i < NELEM(bad); i++) {
		e = (struct err){ 0 };
		t = bad[i].pin ? tls_trust_key(str_from(bad[i].pem), "ca.pem", &e) :
		    tls_trust_new(str_from(bad[i].pem), true, "ca.pem", &e);
		ok(t == NULL && e.kind == ERR_PARSE && strstr(e.msg, bad[i].part) != NULL, "%s: %s", bad[i].name, e.msg);
	}
	e = (struct err){ 0 };
	t = tls_trust_new(STR(""), false, "", &e);
	ok(t != NULL && e.kind == ERR_NONE, "an empty bundle trusts nobody");
	tls_trust_free(t);
	t = tls_trust_key(str_from(cert_san), "server.pem", &e);
	ok(t != NULL, "a pinned key %s", e.msg);
	tls_trust_free(t);
	tls_trust_free(NULL);
}

static void
test_identity(void)
{
	struct err e = { 0 };
	struct tls_identity *id = tls_identity_new(str_from(cert_san), str_from(key_of_san), "cert.pem", &e);

	ok(id != NULL, "a certificate and its key %s", e.msg);
	tls_identity_free(id);
	id = tls_identity_new(str_from(cert_san), str_from(key_of_other), "cert.pem", &e);
	ok(id == NULL && e.kind == ERR_CONFIG, "a certificate and another key: %s", e.msg);
	id = tls_identity_new(str_from(cert_cn), str_from(key_of_san), "cert.pem", &e);
	ok(id == NULL && e.kind == ERR_CONFIG, "keys of two kinds: %s", e.msg);
	id = tls_identity_new(str_from(cert_san), str_from(cert_san), "cert.pem", &e);
	ok(id == NULL && e.kind == ERR_PARSE && strstr(e.msg, "cert.pem: no private key") != NULL, "no key: %s", e.msg);
	tls_identity_free(NULL);
}

static void
test_ssh_keys(void)
{
	static const struct { const char *name, *text, *pub; } good[] = {
		{ "OpenSSH ECDSA", ssh_ecdsa, pub_ecdsa }, { "PKCS#8 ECDSA", ssh_ecdsa_pkcs8, pub_ecdsa_pkcs8 },
		{ "OpenSSH RSA", ssh_rsa, pub_rsa }, { "PEM RSA", ssh_rsa_pem, pub_rsa_pem },
		{ "OpenSSH ECDSA 384", ssh_ec384, pub_ec384 }, { "OpenSSH ECDSA 521", ssh_ec521, pub_ec521 },
		{ "OpenSSH Ed25519", ssh_ed25519, pub_ed25519 }, { "PKCS#8 Ed25519", ssh_ed25519_pkcs8, pub_ed25519_pkcs8 },
		{ "lines that end in CRLF, and a comment", ssh_ed25519_crlf, pub_ed25519_crlf },
	};
	static const struct { const char *name, *text, *part; } bad[] = {
		{ "encrypted", ssh_locked, "has a passphrase" }, { "halves that differ", ssh_ed25519_torn, "not a usable SSH private key" },
		{ "a security key's", ssh_security_key, "is on a security key (sk-ssh-ed25519@openssh.com)" },
		{ "a public key", pub_ed25519, "this is a public SSH key: name the private one, the file without .pub" },
		{ "an SSH2 public key", "---- BEGIN SSH2 PUBLIC KEY ----\n", "this is a public SSH key" },
		{ "PuTTY's", "PuTTY-User-Key-File-3: ssh-ed25519\n", "export it in OpenSSH's format" },
		{ "a certificate", cert_san, "not a usable SSH private key" }, { "nothing", "", "not a usable SSH private key" },
	};

	for (size_t i = 0; i < NELEM(good); i++) {
		struct buf pem = { 0 }, line = { 0 }, again = { 0 };
		struct err e = { 0 };

		is_int(sshkey_read(str_from(good[i].text), &pem, &line, &e), 0, "%s is read %s", good[i].name, e.msg);
		is_str(line.p, good[i].pub, "... its public line");
		ok(sshkey_read(buf_str(&pem), NULL, &again, &e) == 0 && str_eq(buf_str(&line), buf_str(&again)),
		    "... what it becomes is the same key");
		buf_wipe(&pem);
		buf_free(&line);
		buf_free(&again);
	}
	for (size_t i = 0; i < NELEM(bad); i++) {
		struct buf pem = { 0 };
		struct err e = { 0 };

		ok(sshkey_read(str_from(bad[i].text), &pem, NULL, &e) == -1 && e.kind == ERR_CONFIG && pem.n == 0 &&
		    strstr(e.msg, bad[i].part) != NULL, "%s: %s", bad[i].name, e.msg);
		buf_free(&pem);
	}
}

/* Each kind of key signs by its own algorithms and no others; sshd verifies in e2e/test_net.py. */
static void
test_ssh_sign(void)
{
	static const struct { const char *text, *alg, *not_alg; size_t bytes; } cases[] = {
		{ ssh_ed25519, "ssh-ed25519", "ssh-rsa", 4 + 64 }, { ssh_rsa, "rsa-sha2-512", "ssh-rsa", 4 + 128 },
		{ ssh_rsa, "rsa-sha2-256", "ssh-ed25519", 4 + 128 }, { ssh_ecdsa, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", 0 },
		{ ssh_ec384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp256", 0 }, { ssh_ec521, "ecdsa-sha2-nistp521", "ssh-ed25519", 0 },
	};
	struct err e = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++) {
		struct sshkey *k = sshkey_new(str_from(cases[i].text), &e);
		struct buf sig = { 0 }, none = { 0 };

		if (!ok(k != NULL, "%s: a key", cases[i].alg))
			continue;
		ok(sshkey_sign(k, str_from(cases[i].alg), STR("what is signed"), &sig, &e) == 0 &&
		    (cases[i].bytes == 0 ? sig.n > 64 : sig.n == cases[i].bytes), "%s: signs", cases[i].alg);
		ok(sshkey_sign(k, str_from(cases[i].not_alg), STR("x"), &none, &e) == -1 && e.kind == ERR_CONFIG && none.n == 0,
		    "... but not by %s", cases[i].not_alg);
		buf_free(&sig);
		sshkey_free(k);
	}
}

/* RFC 8032 section 7.1, test 2: the key and its signature of one byte. */
static void
test_ed25519_vector(void)
{
	static const char seed[] = "\x4c\xcd\x08\x9b\x28\xff\x96\xda\x9d\xb6\xc3\x46\xec\x11\x4e\x0f\x5b\x8a\x31\x9f\x35\xab"
	    "\xa6\x24\xda\x8c\xf6\xed\x4f\xb8\xa6\xfb";
	static const char want[] = "\x92\xa0\x09\xa9\xf0\xd4\xca\xb8\x72\x0e\x82\x0b\x5f\x64\x25\x40\xa2\xb2\x7b\x54\x16\x50"
	    "\x3f\x8f\xb3\x76\x22\x23\xeb\xdb\x69\xda\x08\x5a\xc1\xe4\x3e\x15\x99\x6e\x45\x8f\x36\x13\xd0\xf1\x1d\x8c\x38"
	    "\x7b\x2e\xae\xb4\x30\x2a\xee\xb0\x0d\x29\x16\x12\xbb\x0c\x00";
	struct buf der = { 0 }, pem = { 0 }, sig = { 0 };
	struct err e = { 0 };
	struct sshkey *k;

	buf_put(&der, "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 16);
	buf_put(&der, seed, 32);
	pem_put(&pem, "PRIVATE KEY", buf_str(&der));
	k = sshkey_new(buf_str(&pem), &e);
	ok(k != NULL && sshkey_sign(k, STR("ssh-ed25519"), str_of("\x72", 1), &sig, &e) == 0 && sig.n == 68 &&
	    memcmp(sig.p + 4, want, 64) == 0, "the vector of RFC 8032");
	sshkey_free(k);
	buf_free(&der);
	buf_free(&pem);
	buf_free(&sig);
}

static void
test_ssh_make(void)
{
	struct buf a = { 0 }, a_pub = { 0 }, b = { 0 }, b_pub = { 0 }, line = { 0 };
	struct err e = { 0 };
	char print[48];

	is_int(ssh_keygen(&a, &a_pub, &e) | ssh_keygen(&b, &b_pub, &e), 0, "two keys are made %s", e.msg);
	ok(str_starts(buf_str(&a), "-----BEGIN EC PRIVATE KEY-----\n") && str_starts(buf_str(&a_pub), "ecdsa-sha2-nistp256 AAAA"),
	    "... of the kind that is wanted");
	ok(!str_eq(buf_str(&a_pub), buf_str(&b_pub)), "... and differ");
	ok(ssh_public_line(buf_str(&a), &line, &e) == 0 && str_eq(buf_str(&line), buf_str(&a_pub)), "the public line can be had again");
	is_int(ssh_fingerprint(str_from(pub_rsa), print, &e), 0, "a fingerprint");
	is_str(print, RSA_MD5, "... as ssh-keygen shows it");
	is_int(ssh_fingerprint(STR("ssh-rsa"), print, &e), -1, "not of half a line: %s", e.msg);
	is_int(ssh_fingerprint(STR("ssh-rsa !!!"), print, &e), -1, "nor of rubbish");
	buf_wipe(&a);
	buf_wipe(&b);
	buf_free(&a_pub);
	buf_free(&b_pub);
	buf_free(&line);
}

int
main(void)
{
	test_certs();
	test_addresses();
	test_damaged();
	test_trust();
	test_identity();
	test_ssh_keys();
	test_ssh_sign();
	test_ed25519_vector();
	test_ssh_make();
	return done_testing();
}
