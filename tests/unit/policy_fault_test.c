/* policy/fault: whose fault an engine's refusal is, by sentences of Docker 19.03 to 29, containerd, runc and crun. */
#include "policy/fault.h"
#include "tap.h"

static const struct { enum fault want; const char *text; } cases[] = {
	/* the machine's: its disk */
	{ FAULT_SPACE, "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x.so: no space left on device" },
	{ FAULT_SPACE, "docker engine: mkdir /var/lib/docker/overlay2/4f-init: no space left on device" },
	{ FAULT_SPACE, "write /var/lib/docker/containers/1f/config.v2.json: disk quota exceeded" },
	{ FAULT_SPACE, "OCI runtime create failed: container_linux.go:349: starting container process caused \"process_linux.go:449: container init caused \\\"write /proc/self/attr/keycreate: no space left on device\\\"\": unknown" },
	{ FAULT_SPACE, "error while creating mount source path '/srv/cache': mkdir /srv/cache: no space left on device" },
	{ FAULT_SPACE, "devmapper: Thin Pool has 3 free data blocks which is less than minimum required 163840 free data blocks" },
	{ FAULT_READ_ONLY, "open /var/lib/docker/tmp/GetImageBlob1: read-only file system" },
	{ FAULT_READ_ONLY, "mkdir /var/lib/docker/volumes/x: Read-only file system" },
	{ FAULT_IO, "readlink /var/lib/docker/overlay2/l: input/output error" },
	{ FAULT_IO, "error creating overlay mount to /var/lib/docker/overlay2/9c/merged: invalid argument" },
	{ FAULT_IO, "layer does not exist" },
	{ FAULT_IO, "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: input/output error: unknown" },
	/* its runtime */
	{ FAULT_RUNTIME, "connection error: desc = \"transport: error while dialing: dial unix:///run/containerd/containerd.sock: timeout\": unavailable" },
	{ FAULT_RUNTIME, "connection error: desc = \"transport: Error while dialing dial unix /run/containerd/containerd.sock: connect: connection refused\": unavailable" },
	{ FAULT_RUNTIME, "failed to start shim: exec: \"containerd-shim-runc-v2\": executable file not found in $PATH: unknown" },
	{ FAULT_RUNTIME, "failed to create task for container: failed to start shim: start failed: fork/exec /usr/bin/containerd-shim-runc-v2: permission denied: unknown" },
	{ FAULT_RUNTIME, "OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/io.containerd.runtime.v2.task/moby/8/log.json: no such file or directory): exec: \"runc\": executable file not found in $PATH: <nil>: unknown" },
	{ FAULT_RUNTIME, "failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/x/log.json: no such file or directory): fork/exec /usr/sbin/runc: exec format error: <nil>: unknown" },
	{ FAULT_RUNTIME, "failed to create shim task: ttrpc: closed: unknown" },
	{ FAULT_RUNTIME, "runc did not terminate successfully: exit status 139: unknown" },
	/* its control groups, limits, memory */
	{ FAULT_CGROUP, "OCI runtime create failed: runc create failed: unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker: no such file or directory: unknown" },
	{ FAULT_CGROUP, "cgroups: cgroup mountpoint does not exist: unknown" },
	{ FAULT_CGROUP, "Devices cgroup isn't mounted" },
	{ FAULT_SPACE, "unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker/1: no space left on device" },
	{ FAULT_FILES, "open /var/lib/docker/containers/1/x-json.log: too many open files" },
	{ FAULT_PROCESSES, "fork/exec /usr/sbin/runc: resource temporarily unavailable" },
	{ FAULT_PROCESSES, "OCI runtime create failed: runc create failed: unable to start container process: can't get final child's PID from pipe: EOF: runtime/cgo: pthread_create failed: Resource temporarily unavailable: unknown" },
	{ FAULT_PROCESSES, "sh: 1: Cannot fork" },
	{ FAULT_MEMORY, "fork/exec /proc/self/exe: cannot allocate memory" },
	/* its network and devices */
	{ FAULT_NETWORK, "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network" },
	{ FAULT_NETWORK, "all predefined address pools have been fully subnetted" },
	{ FAULT_NETWORK, "network bridge not found" },
	{ FAULT_NETWORK, "driver failed programming external connectivity on endpoint x (1f):  (iptables failed: iptables --wait -t nat -A DOCKER: iptables: No chain/target/match by that name. (exit status 1))" },
	{ FAULT_NETWORK, "failed to create endpoint x on network bridge: adding interface veth3 to bridge docker0 failed: could not find bridge docker0: route ip+net: no such network interface" },
	{ FAULT_DEVICE, "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown" },
	/* the job's, its image's, its registry's or the configuration's */
	{ FAULT_NONE, "OCI runtime create failed: runc create failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown" },
	{ FAULT_NONE, "OCI runtime create failed: runc create failed: unable to start container process: exec: \"runc\": executable file not found in $PATH: unknown" },
	{ FAULT_NONE, "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"/x\": stat /x: no such file or directory: unknown" },
	{ FAULT_NONE, "exec: \"/\": permission denied: unknown" },
	{ FAULT_NONE, "exec: \"no space left on device\": permission denied: unknown" },
	{ FAULT_NONE, "exec: \"failed to start shim\": executable file not found in $PATH" },
	{ FAULT_NONE, "exec /usr/bin/sh: exec format error" },
	{ FAULT_NONE, "unable to find user no space left on device: no matching entries in passwd file" },
	{ FAULT_NONE, "OCI runtime create failed: runc create failed: unable to start container process: chdir to cwd (\"/read-only file system\") set in config.json failed: permission denied" },
	{ FAULT_NONE, "exec /bin/sh: argument list too long" },
	{ FAULT_NONE, "invalid reference format: repository name must be lowercase" },
	{ FAULT_NONE, "No such image: x:1" },
	{ FAULT_NONE, "manifest for x:1 not found: manifest unknown: manifest unknown" },
	{ FAULT_NONE, "pull access denied for cgroup, repository does not exist or may require 'docker login': denied" },
	{ FAULT_NONE, "toomanyrequests: You have reached your pull rate limit" },
	{ FAULT_NONE, "received unexpected HTTP status: 500 Internal Server Error" },
	{ FAULT_NONE, "error parsing HTTP 507 response body: unexpected end of JSON input: \"no space left on device\"" },
	{ FAULT_NONE, "Head \"https://r.example.com/v2/x/manifests/1\": unauthorized: authentication required" },
	{ FAULT_NONE, "Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com: no such host" },
	{ FAULT_NONE, "Get \"https://r.example.com/v2/\": dial tcp 10.0.0.1:443: connect: connection refused" },
	{ FAULT_NONE, "network ci-net not found" },
	{ FAULT_NONE, "error while creating mount source path '/data': mkdir /data: read-only file system" },
	{ FAULT_NONE, "Bind for 0.0.0.0:80 failed: port is already allocated" },
	{ FAULT_NONE, "unknown or invalid runtime name: sysbox" },
	{ FAULT_NONE, "the machine or its Docker Engine restarted under the job" },
	{ FAULT_NONE, "" },
};

int
main(void)
{
	struct err e = { 0 };

	for (size_t i = 0; i < NELEM(cases); i++)
		is_str(fault_text(fault_of(str_from(cases[i].text))), fault_text(cases[i].want), "%.120s", cases[i].text);
	for (enum fault f = FAULT_SPACE; f <= FAULT_DEVICE; f++)
		ok(fault_text(f)[0] != '\0', "fault %d has words", f);
	/* This host's own trouble and a broken connection are not what an engine said. */
	err_set(&e, ERR_SERVER, 500, "docker engine: no space left on device");
	is_int(fault_of_err(&e), FAULT_SPACE, "an engine's 500");
	err_set(&e, ERR_NOTFOUND, 404, "docker engine: network bridge not found");
	is_int(fault_of_err(&e), FAULT_NETWORK, "an engine's 404");
	err_set(&e, ERR_SYS, 28, "write trace: no space left on device");
	is_int(fault_of_err(&e), FAULT_NONE, "the bastion's own disk");
	err_set(&e, ERR_NET, 0, "connect: too many open files");
	is_int(fault_of_err(&e), FAULT_NONE, "the bastion's own descriptors");
	return done_testing();
}
