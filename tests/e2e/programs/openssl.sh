# OpenSSL's command: digests, ciphers both ways, MACs, key derivation, fixed-key signatures and agreement, fresh keys, TLS.
# shellcheck shell=dash disable=SC2046,SC2059,SC2086  # options are words
k=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
v=00112233445566778899aabbccddeeff
mkdir -p ssl && cd ssl || exit 1
seq 1 30000 | head -c 100003 > data
bytes() { for b in $(echo "$1" | sed 's/../& /g'); do printf "\\$(printf %o "0x$b")"; done; }
hash() { openssl dgst -sha256 -r | cut -c1-32; }

for d in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 shake128 blake2b512 blake2s256 sm3; do
    for n in 0 1 55 56 64 127 1000 100003; do head -c $n data | openssl dgst -$d -r; done | sed "s/^/$d /" | hash
done
for c in aes-128-ecb aes-128-cbc aes-192-cbc aes-256-cbc aes-128-ctr aes-256-ctr aes-256-ofb aes-256-cfb8 camellia-256-cbc aria-256-ctr \
    chacha20 des-ede3-cbc sm4-cbc; do
    for n in 0 1 100 1000 100003; do
        head -c $n data > plain
        case $c in *128* | sm4*) key=$(echo $k | cut -c1-32) ;; *192* | des*) key=$(echo $k | cut -c1-48) ;; *) key=$k ;; esac
        iv=$v
        case $c in *ecb) iv= ;; des*) iv=$(echo $v | cut -c1-16) ;; esac
        openssl enc -$c -K $key ${iv:+-iv $iv} -in plain -out sealed
        openssl enc -d -$c -K $key ${iv:+-iv $iv} -in sealed | cmp - plain
        cat sealed
    done | hash | sed "s/^/$c /"
done
openssl mac -macopt hexkey:$k -digest sha256 -in data HMAC
openssl mac -macopt hexkey:$k -in data POLY1305
openssl mac -macopt hexkey:$(echo $k | cut -c1-32) -macopt hexiv:000102030405060708090a0b -cipher aes-128-gcm -in data GMAC
openssl mac -macopt hexkey:$k -macopt hexiv:000102030405060708090a0b -cipher aes-256-gcm -in data GMAC
openssl mac -macopt hexkey:$(echo $k | cut -c1-32) -cipher aes-128-cbc -in data CMAC
openssl mac -macopt hexkey:$k -in data KMAC256
openssl kdf -keylen 32 -kdfopt digest:sha512 -kdfopt pass:secret -kdfopt salt:salt -kdfopt iter:1000 PBKDF2
openssl kdf -keylen 32 -kdfopt pass:secret -kdfopt salt:salt -kdfopt n:1024 -kdfopt r:8 -kdfopt p:1 SCRYPT
openssl kdf -keylen 32 -kdfopt digest:sha256 -kdfopt hexkey:$k -kdfopt salt:salt -kdfopt info:x HKDF

# X25519 between two fixed keys: both sides agree. RFC 8032 section 7.1, test 2: the signature is 92a009a9...
bytes 302e020100300506032b656e0422042077076d0a7318a57d3c16c17251b26645df4c14cf8d2e3f3a1f5a3e6ba3e3a2a6 > alice.der
bytes 302e020100300506032b656e042204205dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb > bob.der
openssl pkey -inform DER -in bob.der -pubout -outform DER -out bob.pub
openssl pkey -inform DER -in alice.der -pubout -outform DER -out alice.pub
openssl dgst -sha256 -r bob.pub alice.pub
openssl pkeyutl -derive -inkey alice.der -keyform DER -peerkey bob.pub -peerform DER | hash
openssl pkeyutl -derive -inkey bob.der -keyform DER -peerkey alice.pub -peerform DER | hash
bytes 302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb > ed.der
printf r > message
openssl pkeyutl -sign -inkey ed.der -keyform DER -rawin -in message | od -An -tx1 -v | tr -d ' \n'
echo

for key in 'RSA -pkeyopt rsa_keygen_bits:2048' 'EC -pkeyopt ec_paramgen_curve:P-256' 'EC -pkeyopt ec_paramgen_curve:P-384' ED448; do
    openssl genpkey -algorithm $key -out key.pem 2> /dev/null
    openssl pkey -in key.pem -pubout -out pub.pem
    case $key in
    ED*) openssl pkeyutl -sign -inkey key.pem -rawin -in data -out sig && openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in data -sigfile sig ;;
    *) openssl dgst -sha256 -sign key.pem -out sig data && openssl dgst -sha256 -verify pub.pem -signature sig data ;;
    esac
    case $key in RSA*) openssl pkey -in key.pem -check -noout && cp key.pem rsa.pem ;; esac
done

openssl req -x509 -key rsa.pem -subj /CN=localhost -days 30 -out cert.pem
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    : > port
    openssl s_server -accept 127.0.0.1:4433 -cert cert.pem -key rsa.pem -ciphersuites $suite -www -naccept 1 > port 2>&1 &
    server=$!
    until grep -q ACCEPT port; do kill -0 $server 2> /dev/null || break; sleep 0.2; done
    printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect 127.0.0.1:4433 -CAfile cert.pem -ign_eof 2>&1 |
        sed -n 's/^New, .*Cipher is/cipher/p; s/^Verify return code/verify/p' | sort -u
    wait $server
done
