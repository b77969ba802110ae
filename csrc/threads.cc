// Threads made for one call, where those of OpenMP cannot be had.
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "threads.h"

namespace elman {
namespace {

// Nobody begins before it is known how many there are.
class Start {
 public:
  void go(int size) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      size_ = size;
    }
    known_.notify_all();
  }
  int wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    known_.wait(lock, [this] { return size_ > 0; });
    return size_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable known_;
  int size_ = 0;
};

}  // namespace

void fresh_crew(int threads, void (*body)(const void*, int, int), const void* context) {
  Start start;
  std::vector<std::thread> others;
  try {
    others.reserve(static_cast<size_t>(threads));
    for (int i = 1; i < threads; ++i)
      others.emplace_back([&start, body, context, i] { body(context, i, start.wait()); });
  } catch (const std::system_error&) {  // no more threads to be had: fewer will do
  } catch (const std::bad_alloc&) {
  }
  const int size = static_cast<int>(others.size()) + 1;
  start.go(size);
  body(context, 0, size);
  for (std::thread& other : others) other.join();
}

}  // namespace elman
