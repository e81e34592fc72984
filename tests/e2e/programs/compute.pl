# Perl: numbers, strings, sorting, hashes, regular expressions, big numbers, digests.
use strict;
use warnings;
use Math::BigInt;
use Digest::SHA qw(sha256_hex);
use Digest::MD5 qw(md5_hex);
use List::Util qw(sum reduce);
my ($x, @v) = (12345);
for (1 .. 20000) { $x = ($x * 1103515245 + 12345) % 2147483648; push @v, $x; }
print "sum ", sum(@v), " ", sum(map { $_ % 7 == 3 ? $_ : 0 } @v), "\n";
print "sorted ", md5_hex(join ",", sort { $a <=> $b } @v), " ", md5_hex(join ",", sort map { "s$_" } @v), "\n";
my %h;
$h{ $_ % 1009 } .= chr(65 + $_ % 26) for @v;
print "hash ", scalar(keys %h), " ", sha256_hex(join "|", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), "\n";
my $f = 0.5;
$f = 3.7 * $f * (1 - $f) for 1 .. 10000;
printf "float %.17g %s %s %s %d\n", $f, 1e15 / 3, sqrt(2), 7.5 % 4, -7 / 2;
printf "ints %u %d %x %s\n", ~0, -9223372036854775808, 0xdeadbeef << 20, 18446744073709551615 + 1;
my $b = Math::BigInt->new(1);
$b *= $_ for 1 .. 200;
print "big ", $b % Math::BigInt->new("170141183460469231731687303715884105727"), " ", length("$b"), "\n";
my $text = join " ", map { reverse sprintf "%x", $_ } @v;
my $n = () = $text =~ /\b[a-f]\d+[a-f]?\b/g;
(my $t = $text) =~ s/(\w)(\w+)/$2$1/g;
$t =~ tr/a-f0-9/0-9a-f/;
print "regexp $n ", sha256_hex($t), "\n";
print "pack ", unpack("H*", pack("nNvVqQfd", 1, 2, 3, 4, -5, 6, 1.5, 0.1)), " ", unpack("%32C*", $text), "\n";
sub ack { my ($m, $n) = @_; no warnings 'recursion'; $m ? ack($m - 1, $n ? ack($m, $n - 1) : 1) : $n + 1 }
print "ack ", ack(2, 60), "\n";
my @primes = grep { my $p = $_; !grep { $p % $_ == 0 } 2 .. sqrt $p } 2 .. 2000;
print "primes ", scalar(@primes), " $primes[-1]\n";
