// The Worker of the tests' program: answers each number with its double.
addEventListener("message", (event: MessageEvent<unknown>) => {
  postMessage(Number(event.data) * 2);
});
