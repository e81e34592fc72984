# Hashes, regular expressions, sorting, string building.
use strict;
use warnings;

my $state = 12345;
sub random { $state = ($state * 1103515245 + 12345) % 2147483648; return ($state >> 8) % $_[0] }

my @lines = map { sprintf "%d.%d.%d.%d - GET /%s?id=%d %d", (map { random(256) } 1 .. 4), join("", map { chr(97 + random(26)) } 1 .. 6),
    random(1000), 200 + random(3) * 100 } 1 .. 12000;
my (%hosts, %pages, %codes);
for (@lines) {
    next unless /^(\d+)\.(\d+)\.\d+\.\d+ - (\w+) (\S+) (\d+)$/;
    my ($net, $url, $code) = ("$1.$2", $4, $5);
    $hosts{$net}++;
    $codes{$code} += length $url;
    (my $page = $url) =~ s/\?.*//;
    $pages{lc substr $page, 1, 2} .= $code;
}
print scalar(keys %hosts), " hosts, ", scalar(keys %pages), " pages\n";
print join(" ", map { "$_=$codes{$_}" } sort keys %codes), "\n";
my @top = sort { $hosts{$b} <=> $hosts{$a} || $a cmp $b } keys %hosts;
print "@top[0 .. 4]\n";
my $text = join "\n", @lines;
my $vowels = ($text =~ tr/aeiou//);
my $doubled = () = $text =~ /([a-z])\1/g;
print "$vowels vowels, $doubled doubled, ", length(join ",", reverse split /[ ?]/, $text), "\n";
