// Goroutines, channels, select, maps, big numbers, garbage collection; the output does not depend on the machine.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math"
	"math/big"
	"math/bits"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func sieve(limit int) int {
	source := make(chan int)
	go func(out chan int) {
		for i := 2; ; i++ {
			out <- i
		}
	}(source)
	prime := 0
	for i := 0; i < limit; i++ {
		prime = <-source
		next := make(chan int)
		go func(in, out chan int, p int) {
			for {
				if v := <-in; v%p != 0 {
					out <- v
				}
			}
		}(source, next, prime)
		source = next
	}
	return prime
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func integers(n int) uint64 {
	h := uint64(1125899906842597)
	for i := 0; i < n; i++ {
		high, low := bits.Mul64(h, uint64(i)*2654435761+1)
		h = bits.RotateLeft64(h^low, 13) + high + uint64(bits.OnesCount64(h)) + uint64(bits.LeadingZeros64(h)) + uint64(bits.TrailingZeros64(h))
		if i&7 == 0 {
			h += h/uint64(i+3) ^ h%uint64(i+5)
			h ^= uint64(int64(h) / int64(i+7))
		}
	}
	return h
}

func floats(n int) string {
	x, sum := 0.5, 0.0
	for i := 1; i <= n; i++ {
		x = float64(3.7*x) * float64(1-x)
		sum += float64(math.Sqrt(x) / float64(i))
		sum += float64(float32(x)) + float64(int(x*1000)) + math.Floor(-x) + math.FMA(x, x, -0.25)
	}
	return fmt.Sprintf("%x", sum)
}

func main() {
	start := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	var atomics, locked int64
	for g := 0; g < 200; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			<-start
			for i := 0; i < 500; i++ {
				atomic.AddInt64(&atomics, int64(i*g))
				mu.Lock()
				locked += int64(g)
				mu.Unlock()
				if i%100 == 0 {
					runtime.Gosched()
				}
			}
		}(g)
	}
	close(start)
	wg.Wait()
	fmt.Println("goroutines", atomics, locked)
	fmt.Println("sieve", sieve(200))
	fmt.Println("fib", fib(25))
	fmt.Println("integers", integers(500000))
	fmt.Println("floats", floats(300000))
	results, quit := make(chan int), make(chan bool)
	for w := 0; w < 4; w++ {
		go func(w int) {
			for i := 0; i < 1000; i++ {
				results <- i * w
			}
			quit <- true
		}(w)
	}
	total := 0
	for done := 0; done < 4; {
		select {
		case v := <-results:
			total += v
		case <-quit:
			done++
		case <-time.After(time.Minute):
			panic("timeout")
		}
	}
	fmt.Println("select", total)
	b := big.NewInt(1)
	for i := int64(1); i <= 500; i++ {
		b.Mul(b, big.NewInt(i))
	}
	m := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))
	fmt.Println("big", new(big.Int).Mod(b, m), new(big.Int).Exp(big.NewInt(3), b, m), len(b.String()))
	words := map[string]int{}
	for i := 0; i < 50000; i++ {
		words[fmt.Sprint("k", i%997)] += i
	}
	keys := make([]string, 0, len(words))
	for k := range words {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	fmt.Println("map", len(keys), keys[0], keys[len(keys)-1], words["k7"])
	data := []byte(strings.Repeat("goroutine", 20000))
	fmt.Printf("sha256 %x\ncrc32 %08x castagnoli %08x\n", sha256.Sum256(data), crc32.ChecksumIEEE(data), crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	block, _ := aes.NewCipher(data[:32])
	gcm, _ := cipher.NewGCM(block)
	sealed := gcm.Seal(nil, data[:12], data, data[:20])
	opened, err := gcm.Open(nil, data[:12], sealed, data[:20])
	fmt.Printf("gcm %x %v %v\n", sealed[len(sealed)-16:], string(opened) == string(data), err)
	type node struct{ left, right *node }
	var build func(int) *node
	build = func(d int) *node {
		if d == 0 {
			return &node{}
		}
		return &node{build(d - 1), build(d - 1)}
	}
	var count func(*node) int
	count = func(n *node) int {
		if n.left == nil {
			return 1
		}
		return 1 + count(n.left) + count(n.right)
	}
	nodes := 0
	for i := 0; i < 20; i++ {
		nodes += count(build(12))
		if i%5 == 0 {
			runtime.GC()
		}
	}
	fmt.Println("trees", nodes)
	recovered := 0
	for i := 0; i < 1000; i++ {
		func() {
			defer func() {
				if recover() != nil {
					recovered++
				}
			}()
			var p *node
			a := []int{1, 2, 3}
			if i%2 == 0 {
				_ = p.left.right
			}
			_ = a[i%5]
		}()
	}
	fmt.Println("recovered", recovered)
}
