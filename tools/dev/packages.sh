# SPDX-License-Identifier: Apache-2.0
#
# The Debian 12 packages behind each verb of ./dev, and how the missing ones get in. Sourced by ./dev.

packages_demo=(build-essential g++ cmake ninja-build ccache pkg-config git python3
  liburing-dev libabsl-dev libspdlog-dev libcli11-dev nlohmann-json3-dev libisal-dev libssl-dev
  libpugixml-dev librocksdb-dev libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc
  libibverbs-dev librdmacm-dev)
packages_test=("${packages_demo[@]}" libgtest-dev libgmock-dev clang openssl
  pybind11-dev python3-dev python3-numpy python3-fsspec python3-pandas python3-pip mypy)
packages_check=("${packages_test[@]}" clang-format clang-tidy libbenchmark-dev)
packages_fuzz=("${packages_test[@]}" libclang-rt-14-dev)
packages_bench=("${packages_demo[@]}" libgtest-dev libgmock-dev libbenchmark-dev
  libnbd-dev nbdkit libiscsi-dev tgt libcurl4-openssl-dev nginx-light wrk rclone python3-boto3 openssl
  pybind11-dev python3-dev python3-numpy)
packages_vm=(qemu-system-x86 busybox-static kmod xz-utils zstd python3 debian-archive-keyring)
packages_interop=("${packages_demo[@]}" "${packages_vm[@]}" nvme-cli fio e2fsprogs xfsprogs iproute2
  ibverbs-providers ibverbs-utils rdmacm-utils perftest
  qemu-utils qemu-system-common nbdkit tshark python3-boto3 awscli s3cmd rclone nginx-light
  s3fs fuse3 openssl ceph-mon ceph-osd ceph-common radosgw)

# packages_missing NAME...: prints those that dpkg does not have installed.
packages_missing() {
  local name
  for name in "$@"; do
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" == installed ]] ||
      printf '%s\n' "$name"
  done
}

# packages_install PURPOSE...: installs what is missing for these purposes; says nothing when all is there.
packages_install() {
  local purpose missing wanted=() list
  for purpose in "$@"; do
    list="packages_${purpose}[@]"
    wanted+=("${!list}")
  done
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "not a Debian system, these packages, by Debian's names, have to be there:"
    say "$(printf '%s\n' "${wanted[@]}" | sort -u | xargs)"
    return 0
  fi
  mapfile -t missing < <(packages_missing "${wanted[@]}" | sort -u)
  [[ ${#missing[@]} -eq 0 ]] && return 0
  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    command -v sudo >/dev/null || die "neither root nor sudo for: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing with apt-get: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    say "apt-get update failed; trying with the lists that are there"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null || die "apt-get could not install: ${missing[*]}"
}
