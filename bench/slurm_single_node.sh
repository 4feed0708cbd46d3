#!/bin/sh
# Makes this machine a Slurm cluster of one node, to try `--submit=slurm` on. As root, on Debian or
# Ubuntu, in a container or a virtual machine that may be thrown away: it overwrites slurm.conf, and
# starts munged, slurmctld and slurmd without systemd.
#
#     sh bench/slurm_single_node.sh            # then: sinfo
#     sh bench/slurm_single_node.sh stop
set -eu

if [ "${1:-}" = stop ]; then
    for name in slurmd slurmctld munged; do
        for file in /run/"$name".pid /run/munge/"$name".pid; do
            if [ -f "$file" ]; then kill "$(cat "$file")" || true; fi
        done
    done
    exit 0
fi

command -v slurmctld > /dev/null && command -v munged > /dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge
}
host=$(hostname -s)
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd /run/munge
chown munge: /run/munge
# Neither accounting nor cgroups, which containers often lack.
cat > /etc/slurm/slurm.conf << END
ClusterName=single
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdParameters=config_overrides
MpiDefault=none
KillWait=30
NodeName=$host CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
[ -f /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 2> /dev/null
chown munge: /etc/munge/munge.key
chmod 400 /etc/munge/munge.key
su -s /bin/sh munge -c "munged --force"
slurmctld
slurmd
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if sinfo --noheader | grep -q idle; then sinfo && exit 0; fi
    sleep 1
done
echo "no idle node: see /var/log/slurmctld.log and /var/log/slurmd.log" >&2
exit 1
