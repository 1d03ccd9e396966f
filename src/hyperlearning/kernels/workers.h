// Threads that the kernels share, and working memory of a thread.

#pragma once

#include <unistd.h>

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

// Working memory of the calling thread, kept for its next call.
template <typename S>
S* scratch() {
  struct Holder {
    S* data = static_cast<S*>(std::aligned_alloc(64, (sizeof(S) + 63) / 64 * 64));
    Holder() { if (data) std::memset(static_cast<void*>(data), 0, sizeof(S)); }
    ~Holder() { std::free(data); }
  };
  static thread_local Holder holder;
  return holder.data;
}

}  // namespace
