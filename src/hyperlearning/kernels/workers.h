// Threads that kernels share, working memory of a thread, and sums of what threads computed.

#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

namespace {

// Workers sleep between calls, so that idle threads take nothing from other processes.
class Pool {
  using Call = void (*)(void*, int);

 public:
  template <typename F>
  static void run(int threads, int count, F&& task) {
    // All threads must run the same instructions: a copy of the task that is inlined elsewhere may contract and round otherwise.
    // So the compiler must not know what the pointer points to.
    Call call = [](void* f, int i) { (*static_cast<F*>(f))(i); };
    asm volatile("" : "+r"(call));
    Pool* pool = threads > 1 ? instance() : nullptr;
    std::unique_lock<std::mutex> turn;
    if (pool) turn = std::unique_lock<std::mutex>(pool->turn_, std::try_to_lock);
    if (!turn.owns_lock()) {
      for (int i = 0; i < count; ++i) call(&task, i);
      return;
    }
    pool->share(threads - 1, count, call, &task);
  }

 private:
  // Threads do not survive a fork, so that a child process needs a pool of its own.
  static Pool* instance() {
    static std::mutex guard;
    static Pool* pool = nullptr;
    static pid_t owner = 0;
    std::unique_lock<std::mutex> lock(guard, std::try_to_lock);
    if (!lock.owns_lock()) return nullptr;
    if (owner != getpid()) {
      pool = new Pool;
      owner = getpid();
    }
    return pool;
  }

  void share(int helpers, int count, Call call, void* task) {
    while (started_ < helpers) start_worker();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      call_ = call, task_ = task, count_ = count, wanted_ = helpers, busy_ = helpers;
      next_.store(0, std::memory_order_relaxed);
      ++round_;
    }
    wake_.notify_all();
    work(call, task, count);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return busy_ == 0; });
  }

  void start_worker() {
    std::thread([this, index = started_, round = round_] { serve(index, round); }).detach();
    ++started_;
  }

  void serve(int index, unsigned long seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (index >= wanted_) continue;
      const Call call = call_;
      void* task = task_;
      const int count = count_;
      lock.unlock();
      work(call, task, count);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void work(Call call, void* task, int count) {
    for (int i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count;) call(task, i);
  }

  std::mutex turn_, mutex_;
  std::condition_variable wake_, done_;
  std::atomic<int> next_{0};
  Call call_ = nullptr;
  void* task_ = nullptr;
  int count_ = 0, wanted_ = 0, busy_ = 0, started_ = 0;
  unsigned long round_ = 0;
};

// Working memory of the calling thread, zeroed when it is new and kept for its next call; null if there is not enough.
template <typename S>
S* scratch(long count = 1) {
  struct Holder {
    S* data = nullptr;
    long count = 0;
    ~Holder() { std::free(data); }
  };
  static thread_local Holder holder;
  if (count > holder.count) {
    const std::size_t bytes = (sizeof(S) * count + 63) / 64 * 64;
    std::free(holder.data);
    holder.data = static_cast<S*>(std::aligned_alloc(64, bytes));
    holder.count = holder.data ? count : 0;
    if (holder.data) std::memset(static_cast<void*>(holder.data), 0, bytes);
  }
  return holder.data;
}

// How many threads are worth waking for `count` tasks that make so many multiplications in all: waking one costs about as
// much as a few hundred thousand of them.
inline int useful_threads(int threads, int count, double multiplications, double worth_a_thread = 200000) {
  const double worth = 1 + multiplications / worth_a_thread;
  return static_cast<int>(std::min({double(threads), double(count), worth}));
}

// Calls task(working memory, i) for every i in [0, count). Returns 1 if there is not enough memory.
template <typename S, typename F>
int run_with_scratch(int threads, int count, F&& task) {
  std::atomic<int> failed{0};
  Pool::run(threads, count, [&](int i) {
    S* working = scratch<S>();
    if (!working || !task(*working, i)) failed.store(1);
  });
  return failed;
}

// Adds rows in their order, so that sums do not depend on who computed them.
template <typename T>
void add_rows(const T* rows, int count, int size, T* total) {
  std::fill_n(total, size, T(0));
  for (int row = 0; row < count; ++row)
    for (int i = 0; i < size; ++i) total[i] += rows[long(row) * size + i];
}

}  // namespace
