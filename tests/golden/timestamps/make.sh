#!/usr/bin/env bash
# Makes the certificates and tokens of this folder anew: `bash make.sh` in a shell with openssl 3 and gcc.
# Keys are thrown away; what is committed are the results. Times are those of a clock that a preloaded library sets.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > clock.c <<'X'
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long long at(void) { return atoll(getenv("AT")); }
time_t time(time_t *t) { time_t v = at(); if (t) *t = v; return v; }
int gettimeofday(struct timeval *tv, void *zone) { tv->tv_sec = at(); tv->tv_usec = 250000; return 0; }
int clock_gettime(clockid_t clock, struct timespec *ts) { ts->tv_sec = at(); ts->tv_nsec = 250000000; return 0; }
X
gcc -shared -fPIC -o clock.so clock.c
at() { local when=$1; shift; AT=$(date -u -d "$when" +%s) LD_PRELOAD=$work/clock.so "$@"; }

cat > openssl.cnf <<'X'
[req]
distinguished_name=dn
[dn]
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[tsa]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
[plain]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
[lax]
basicConstraints=critical,CA:FALSE
extendedKeyUsage=timeStamping
[both]
basicConstraints=critical,CA:FALSE
extendedKeyUsage=critical,timeStamping,codeSigning
[ts]
default_tsa=one
[one]
serial=./serial
default_policy=1.2.3.4.1
digests=sha1,sha256,sha384,sha512
accuracy=secs:1,millisecs:500,microsecs:100
clock_precision_digits=3
signer_digest=sha256
ess_cert_id_alg=sha256
X
echo 01 > serial

ec() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; }
rsa() { openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1.key"; }
# authority NAME SUBJECT HASH: a root of its own, of thirty years from 2015
authority() { ec "$1"; at 2015-01-01 openssl req -new -x509 -key "$1.key" -subj "/O=Lowbackground tests/CN=$2" -days 10957 "-$3" -out "$1.pem" -config openssl.cnf -extensions ca; }
# issue NAME KIND ISSUER SERIAL FROM DAYS
issue() {
  openssl req -new -key "$1.key" -subj "/O=Lowbackground tests/CN=$1" -out "$1.csr" -config openssl.cnf
  at "$5" openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -set_serial "$4" -days "$6" -sha256 -extfile openssl.cnf -extensions "$2" -out "$1.pem"
}
# stamp OUT FILE HASH WHEN SIGNER [CHAIN]
stamp() {
  openssl ts -query -data "$2" "-$3" -cert -no_nonce -out query.tsq
  at "$4" openssl ts -reply -queryfile query.tsq -signer "$5.pem" -inkey "$5.key" ${6:+-chain "$6"} -config openssl.cnf -section one -out "$here/$1"
}
# forge OUT SIGNER EXTRA: a token with the content of good.tsr by any certificate at all
forge() {
  at 2019-09-10 openssl cms -sign -binary -nodetach -nosmimecap -cades -md sha256 -in content.der -signer "$2.pem" -inkey "$2.key" \
    ${3:+-certfile "$3"} -econtent_type 1.2.840.113549.1.9.16.1.4 -outform DER -out "$here/$1"
}

authority root "root" sha256
authority selfmade "root" sha256
authority old "old" sha1
ec middle; issue middle ca root 2 2016-01-01 7305
rsa tsa; issue tsa tsa middle 3 2018-01-01 2192
ec short; issue short tsa root 4 2018-01-01 365
ec tsa-of-mine; issue tsa-of-mine tsa selfmade 5 2018-01-01 2192
ec tsa-of-old; issue tsa-of-old tsa old 10 2018-01-01 2192
ec plain; issue plain plain root 6 2018-01-01 2192
ec lax; issue lax lax root 7 2018-01-01 2192
ec both; issue both both root 8 2018-01-01 2192
ec child; issue child tsa plain 9 2018-01-01 2192
# A certificate of the same issuer's name and number as `plain`, for time stamps, that the root never signed.
ec twin; openssl req -new -key twin.key -subj "/O=Lowbackground tests/CN=twin" -out twin.csr -config openssl.cnf
at 2018-01-01 openssl x509 -req -in twin.csr -CA selfmade.pem -CAkey selfmade.key -set_serial 6 -days 2192 -sha256 -extfile openssl.cnf -extensions tsa -out twin.pem

cp root.pem "$here/root.pem"
cp selfmade.pem "$here/selfmade.pem"
cp old.pem "$here/old.pem"
cp tsa.pem "$here/tsa.pem"
sample=$here/sample.warc
(cd "$here" && sha256sum sample.warc > sample.sha256)
stamp good.tsr "$sample" sha256 2019-09-10 tsa middle.pem
openssl ts -reply -in "$here/good.tsr" -token_out -out "$here/good.tst" -config openssl.cnf
stamp sha512.tsr "$sample" sha512 2019-09-10 tsa middle.pem
stamp sha1.tsr "$sample" sha1 2019-09-10 tsa middle.pem
stamp list.tsr "$here/sample.sha256" sha256 2019-09-12 tsa middle.pem
stamp late.tsr "$sample" sha256 2023-05-01 tsa middle.pem
stamp expired.tsr "$sample" sha256 2019-09-10 short
stamp selfmade.tsr "$sample" sha256 2019-09-10 tsa-of-mine
stamp old.tsr "$sample" sha256 2019-09-10 tsa-of-old
sed -i 's/^signer_digest=.*/signer_digest=sha1/' openssl.cnf
stamp sha1-signed.tsr "$sample" sha256 2019-09-10 tsa middle.pem
openssl ts -query -data "$sample" -sha256 -tspolicy 1.9.9 -cert -no_nonce -out query.tsq
at 2019-09-10 openssl ts -reply -queryfile query.tsq -signer tsa.pem -inkey tsa.key -config openssl.cnf -section one -out "$here/refused.tsr"
openssl cms -verify -noverify -binary -inform DER -in "$here/good.tst" -out content.der
forge forge-no-usage.tst plain ""
forge forge-usage-not-critical.tst lax ""
forge forge-two-usages.tst both ""
forge forge-by-a-leaf.tst child plain.pem
forge forge-twin.tst plain twin.pem
