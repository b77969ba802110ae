"""Reference implementations of every kernel: one sequence, in a few lines of NumPy, in double precision.

The tests compare the kernels with them. They follow the equations and share no code with the kernels. Arguments are
keyword-only; names and row order of the weights are those of `torch.nn`. A bias may be an array or 0.0 where there is
none.

Symbols: `x_t` the inputs at step t, `h_t` the hidden state after it, `h_0` (`hidden`) the state before the first step,
`*` element by element, `sigmoid(a) = 1 / (1 + exp(-a))`. docs/notation.md has the rest.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def rnn(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike,
    bias_hh: ArrayLike,
    hidden: ArrayLike,
    nonlinearity: str = "tanh",
) -> tuple[Array, Array]:
    """Simple recurrent network over one sequence.

    ```
    h_t = tanh(W x_t + b_ih + U h_{t-1} + b_hh)          or relu in place of tanh
    y_t = h_t
    ```

    W `weight_ih` `[hidden, inputs]`, U `weight_hh` `[hidden, hidden]`, b_ih `bias_ih` and b_hh `bias_hh` `[hidden]`.
    `x` is `[steps, inputs]`, `hidden` `[hidden]`, `nonlinearity` "tanh" or "relu".
    Returns y `[steps, hidden]` and the last h `[hidden]`; for an empty sequence, no rows and `hidden` itself.

    As torch.nn.RNN. Differs from Elman 1990: two biases that add up, tanh in place of the logistic function, and the
    output layer is a head of its own.
    J. L. Elman: Finding structure in time. Cognitive Science 14, 1990.

    >>> y, h = rnn(x=[[1.0], [0.0]], weight_ih=[[1.0]], weight_hh=[[2.0]], bias_ih=0.0, bias_hh=0.0, hidden=[0.5])
    >>> y.round(4).tolist(), h.round(4).tolist()
    ([[0.964], [0.9586]], [0.9586])
    """
    x, W, U, b_ih, b_hh, h = _double(x, weight_ih, weight_hh, bias_ih, bias_hh, hidden)
    activations: dict[str, Callable[[Array], Array]] = {"tanh": np.tanh, "relu": _relu}
    activation = activations[nonlinearity]
    y = np.empty((len(x), len(h)))
    for t in range(len(x)):
        h = activation(W @ x[t] + b_ih + U @ h + b_hh)
        y[t] = h
    return y, h


def lstm(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike,
    bias_hh: ArrayLike,
    hidden: ArrayLike,
    cell: ArrayLike,
) -> tuple[Array, Array, Array]:
    """Long short-term memory over one sequence.

    ```
    i_t = sigmoid(W_i x_t + b_ih_i + U_i h_{t-1} + b_hh_i)       input gate
    f_t = sigmoid(W_f x_t + b_ih_f + U_f h_{t-1} + b_hh_f)       forget gate: 1 keeps the cell state
    g_t = tanh   (W_g x_t + b_ih_g + U_g h_{t-1} + b_hh_g)       candidate
    o_t = sigmoid(W_o x_t + b_ih_o + U_o h_{t-1} + b_hh_o)       output gate
    c_t = f_t * c_{t-1} + i_t * g_t                              cell state
    h_t = o_t * tanh(c_t)
    y_t = h_t
    ```

    Rows of W `weight_ih` `[4 * hidden, inputs]`, U `weight_hh` `[4 * hidden, hidden]`, b_ih `bias_ih` and
    b_hh `bias_hh` `[4 * hidden]` are i, f, g, o. `x` is `[steps, inputs]`, `hidden` and `cell` (c_0) are `[hidden]`.
    Returns y `[steps, hidden]`, the last h and the last c `[hidden]`; for an empty sequence, no rows and the states
    that were given.

    As torch.nn.LSTM. Differs from Hochreiter and Schmidhuber 1997: it has the forget gate of Gers et al. 2000. Differs
    from Gers and Schmidhuber 2000: no peepholes. Keras has the same rows in the same order with one bias.
    S. Hochreiter, J. Schmidhuber: Long short-term memory. Neural Computation 9, 1997.
    F. A. Gers, J. Schmidhuber, F. Cummins: Learning to forget. Neural Computation 12, 2000.

    >>> W, U = np.zeros((4, 1)), np.zeros((4, 1))
    >>> y, h, c = lstm(x=[[1.0]], weight_ih=W, weight_hh=U, bias_ih=0.0, bias_hh=0.0, hidden=[0.0], cell=[1.0])
    >>> c.tolist(), h.round(4).tolist()
    ([0.5], [0.2311])
    """
    x, W, U, b_ih, b_hh, h, c = _double(x, weight_ih, weight_hh, bias_ih, bias_hh, hidden, cell)
    y = np.empty((len(x), len(h)))
    for t in range(len(x)):
        i, f, g, o = np.split(W @ x[t] + b_ih + U @ h + b_hh, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        y[t] = h
    return y, h, c


def ln_lstm(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    gain_ih: ArrayLike,
    gain_hh: ArrayLike,
    bias: ArrayLike,
    gain_cell: ArrayLike,
    bias_cell: ArrayLike,
    hidden: ArrayLike,
    cell: ArrayLike,
) -> tuple[Array, Array, Array]:
    """Layer-normalised long short-term memory over one sequence.

    ```
    |v|   = (v - mean(v)) / sqrt(variance(v) + 1e-5)        over the numbers of one step
    a_t   = p * |W x_t| + q * |U h_{t-1}| + b               rows i, f, g, o, normalised together
    c_t   = sigmoid(a_f) * c_{t-1} + sigmoid(a_i) * tanh(a_g)
    h_t   = sigmoid(a_o) * tanh(k * |c_t| + d)
    y_t   = h_t
    ```

    W `weight_ih` `[4 * hidden, inputs]`, U `weight_hh` `[4 * hidden, hidden]`; p `gain_ih`, q `gain_hh` and b `bias`
    `[4 * hidden]`; k `gain_cell` and d `bias_cell` `[hidden]`; h_0 `hidden` and c_0 `cell`, `[hidden]` each.
    Returns y `[steps, hidden]` and the last h and c; for an empty sequence, no rows and the given state.

    J. L. Ba, J. R. Kiros, G. E. Hinton: Layer normalization. arXiv 1607.06450, 2016, equations 20 to 22.

    >>> ones = {"gain_ih": 1.0, "gain_hh": 1.0, "bias": 0.0, "gain_cell": 1.0, "bias_cell": 0.0}
    >>> W, U = np.eye(8), np.zeros((8, 2))
    >>> y, h, c = ln_lstm(x=[np.arange(8)], weight_ih=W, weight_hh=U, hidden=np.zeros(2), cell=np.zeros(2), **ones)
    >>> y.round(3).tolist(), c.round(3).tolist()
    ([[-0.57, 0.625]], [0.038, 0.145])
    """
    x, W, U, b, d, h, c = _double(x, weight_ih, weight_hh, bias, bias_cell, hidden, cell)
    p, q, k = _double(gain_ih, gain_hh, gain_cell)
    y = np.empty((len(x), len(h)))
    for t in range(len(x)):
        i, f, g, o = np.split(p * _standard(W @ x[t]) + q * _standard(U @ h) + b, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(k * _standard(c) + d)
        y[t] = h
    return y, h, c


def conv_lstm(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    peephole_i: ArrayLike,
    peephole_f: ArrayLike,
    peephole_o: ArrayLike,
    bias: ArrayLike,
    hidden: ArrayLike,
    cell: ArrayLike,
    image: tuple[int, int] = (1, 1),
) -> tuple[Array, Array, Array]:
    """Convolutional long short-term memory over one sequence of images.

    ```
    i_t = sigmoid(W_i * x_t + U_i * h_{t-1} + p_i c_{t-1} + b_i)     * convolves; p c is pixel by pixel
    f_t = sigmoid(W_f * x_t + U_f * h_{t-1} + p_f c_{t-1} + b_f)
    g_t = tanh   (W_g * x_t + U_g * h_{t-1} + b_g)
    c_t = f_t * c_{t-1} + i_t * g_t
    o_t = sigmoid(W_o * x_t + U_o * h_{t-1} + p_o c_t + b_o)
    h_t = o_t * tanh(c_t)
    y_t = h_t
    ```

    Rows of W `weight_ih` `[4 * channels, channels of x, kernel, kernel]`, U `weight_hh` `[4 * channels, channels,
    kernel, kernel]` and b `bias` are i, f, g, o. `x` is `[steps, channels of x * height * width]`; the peepholes p, h_0
    `hidden` and c_0 `cell` are `[channels * height * width]`; `image` is height and width. Beyond an image lie zeros.
    Returns y, the last h and the last c, flat; for an empty sequence, no rows and the states that were given.

    X. Shi et al.: Convolutional LSTM network: a machine learning approach for precipitation nowcasting. NIPS 2015.

    >>> facts = {f"peephole_{gate}": [0.0, 0.0] for gate in "ifo"} | {"hidden": [0.0, 0.0], "cell": [1.0, 0.0]}
    >>> W, U = np.zeros((4, 1, 3, 3)), np.zeros((4, 1, 3, 3))
    >>> y, h, c = conv_lstm(x=[[0.0, 0.0]], weight_ih=W, weight_hh=U, bias=np.zeros(4), image=(1, 2), **facts)
    >>> c.tolist(), h.round(4).tolist()
    ([0.5, 0.0], [0.2311, 0.0])
    """
    x, W, U, b, h, c = _double(x, weight_ih, weight_hh, bias, hidden, cell)
    p_i, p_f, p_o = (p.reshape(-1, *image) for p in _double(peephole_i, peephole_f, peephole_o))
    h, c, b = h.reshape(-1, *image), c.reshape(-1, *image), np.broadcast_to(b, len(W))[:, None, None]
    y = np.empty((len(x), h.size))
    for t in range(len(x)):
        i, f, g, o = np.split(_convolved(W, x[t].reshape(-1, *image)) + _convolved(U, h) + b, 4)
        i, f = _sigmoid(i + p_i * c), _sigmoid(f + p_f * c)
        c = f * c + i * np.tanh(g)
        h = _sigmoid(o + p_o * c) * np.tanh(c)
        y[t] = h.ravel()
    return y, h.ravel(), c.ravel()


def gru(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike,
    bias_hh: ArrayLike,
    hidden: ArrayLike,
) -> tuple[Array, Array]:
    """Gated recurrent unit over one sequence.

    ```
    r_t = sigmoid(W_r x_t + b_ih_r + U_r h_{t-1} + b_hh_r)           reset gate
    z_t = sigmoid(W_z x_t + b_ih_z + U_z h_{t-1} + b_hh_z)           update gate
    n_t = tanh(W_n x_t + b_ih_n + r_t * (U_n h_{t-1} + b_hh_n))      reset after the product
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}                      z keeps the old state
    y_t = h_t
    ```

    Rows of W `weight_ih` `[3 * hidden, inputs]`, U `weight_hh` `[3 * hidden, hidden]`, b_ih `bias_ih` and
    b_hh `bias_hh` `[3 * hidden]` are r, z, n. `x` is `[steps, inputs]`, `hidden` `[hidden]`.
    Returns y `[steps, hidden]` and the last h `[hidden]`; for an empty sequence, no rows and `hidden` itself.

    As torch.nn.GRU and cuDNN: the reset gate comes after the product and covers b_hh_n, as in version 1 of the paper.
    Differs from version 3 and haiku: reset before the product. Keras with reset_after=True: rows z, r, n.
    K. Cho et al.: Learning phrase representations using RNN encoder-decoder. arXiv 1406.1078v1, 2014.

    >>> W, U = np.zeros((3, 1)), np.zeros((3, 1))
    >>> y, h = gru(x=[[1.0], [1.0]], weight_ih=W, weight_hh=U, bias_ih=0.0, bias_hh=0.0, hidden=[1.0])
    >>> y.tolist(), h.tolist()
    ([[0.5], [0.25]], [0.25])
    """
    x, W, U, b_ih, b_hh, h = _double(x, weight_ih, weight_hh, bias_ih, bias_hh, hidden)
    y = np.empty((len(x), len(h)))
    for t in range(len(x)):
        W_r, W_z, W_n = np.split(W @ x[t] + b_ih, 3)
        U_r, U_z, U_n = np.split(U @ h + b_hh, 3)
        z = _sigmoid(W_z + U_z)
        h = (1 - z) * np.tanh(W_n + _sigmoid(W_r + U_r) * U_n) + z * h
        y[t] = h
    return y, h


def gru_reset_before(
    *, x: ArrayLike, weight_ih: ArrayLike, weight_hh: ArrayLike, bias: ArrayLike, hidden: ArrayLike
) -> tuple[Array, Array]:
    """Gated recurrent unit over one sequence, with the reset before the product.

    ```
    r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)                       reset gate
    z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)                       update gate
    n_t = tanh(W_n x_t + U_n (r_t * h_{t-1}) + b_n)
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}                            z keeps the old state
    y_t = h_t
    ```

    Rows of W `weight_ih` `[3 * hidden, inputs]`, U `weight_hh` `[3 * hidden, hidden]` and b `bias` `[3 * hidden]` are
    r, z, n; the rest as in `gru`. As Keras with reset_after=False (rows z, r, n) and ONNX with linear_before_reset=0.
    K. Cho et al.: Learning phrase representations using RNN encoder-decoder. arXiv 1406.1078v3, 2014.

    >>> W, U = np.zeros((3, 1)), np.zeros((3, 1))
    >>> y, h = gru_reset_before(x=[[1.0], [1.0]], weight_ih=W, weight_hh=U, bias=0.0, hidden=[1.0])
    >>> y.tolist(), h.tolist()
    ([[0.5], [0.25]], [0.25])
    """
    x, W, U, b, h = _double(x, weight_ih, weight_hh, bias, hidden)
    y = np.empty((len(x), len(h)))
    U_r, U_z, U_n = np.split(U, 3)
    for t in range(len(x)):
        W_r, W_z, W_n = np.split(W @ x[t] + b, 3)
        z = _sigmoid(W_z + U_z @ h)
        h = (1 - z) * np.tanh(W_n + U_n @ (_sigmoid(W_r + U_r @ h) * h)) + z * h
        y[t] = h
    return y, h


def gru_d(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    weight_hh: ArrayLike,
    bias_ih: ArrayLike,
    bias_hh: ArrayLike,
    weight_dx: ArrayLike,
    bias_dx: ArrayLike,
    weight_dh: ArrayLike,
    bias_dh: ArrayLike,
    hidden: ArrayLike,
) -> tuple[Array, Array]:
    """Gated recurrent unit with decay over one sequence.

    ```
    x_t | m_t | d_t                                                 values (the last where missing), mask, gap: a step
    e_t = m_t * x_t + (1 - m_t) * exp(-max(0, w * d_t + v)) * x_t   a missing value fades to 0, the mean
    k_t = exp(-max(0, W_k d_t + b_k)),   h_{t-1} <- k_t * h_{t-1}   the state fades
    h_t = gru step on e_t | m_t,   y_t = h_t
    ```

    `x` is `[steps, 3 n]`; w `weight_dx` and v `bias_dx` `[n]`, W_k `weight_dh` `[hidden, n]`, b_k `bias_dh` `[hidden]`;
    `weight_ih` `[3 * hidden, 2 n]`, the rest as in `gru`. Returns y `[steps, hidden]` and the last h `[hidden]`.

    Differs from the paper: the reset comes after the product.
    Z. Che et al.: Recurrent neural networks for multivariate time series with missing values. Sci. Rep. 8, 2018.

    >>> rest = {"weight_hh": np.zeros((3, 1)), "bias_ih": 0.0, "bias_hh": 0.0, "weight_dx": [0.0], "bias_dx": 0.0}
    >>> halves = {"weight_ih": np.zeros((3, 2)), "weight_dh": [[np.log(2.0)]], "bias_dh": 0.0}
    >>> y, h = gru_d(x=[[0.0, 0.0, 1.0]], hidden=[1.0], **rest, **halves)     # halved by the gap, then by the gate
    >>> y.tolist()
    [[0.25]]
    """
    x, w, v, W, b, h = _double(x, weight_dx, bias_dx, weight_dh, bias_dh, hidden)
    y, n = np.empty((len(x), len(h))), len(w)
    for t in range(len(x)):
        value, mask, gap = x[t, :n], x[t, n : 2 * n], x[t, 2 * n :]
        seen = mask * value + (1 - mask) * np.exp(-_relu(w * gap + v)) * value
        faded = np.exp(-_relu(W @ gap + b)) * h
        step = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
        _, h = gru(x=[np.concatenate([seen, mask])], hidden=faded, **step)
        y[t] = h
    return y, h


def min_gru(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    bias_ih: ArrayLike,
    hidden: ArrayLike,
    candidate: str = "linear",
) -> tuple[Array, Array]:
    """Minimal gated recurrent unit over one sequence.

    ```
    z_t = sigmoid(W_z x_t + b_z)                    update gate: 1 takes the new
    n_t = candidate(W_h x_t + b_h)                  v, tanh(v), or g(v) = v + 0.5 where v >= 0 and sigmoid(v) below
    h_t = (1 - z_t) * h_{t-1} + z_t * n_t
    y_t = h_t
    ```

    Rows of W `weight_ih` `[2 * hidden, inputs]` and b `bias_ih` `[2 * hidden]` are z, h. `x` is `[steps, inputs]`,
    `hidden` `[hidden]`, `candidate` "linear", "tanh" or "positive" (g).
    Returns y `[steps, hidden]` and the last h `[hidden]`; for an empty sequence, no rows and `hidden` itself.

    Differs from the GRU above in what z means.
    L. Feng et al.: Were RNNs all we needed? arXiv 2410.01201, 2024.

    >>> y, h = min_gru(x=[[1.0], [1.0]], weight_ih=[[0.0], [4.0]], bias_ih=0.0, hidden=[0.0])
    >>> y.tolist(), h.tolist()
    ([[2.0], [3.0]], [3.0])
    """
    x, W, b, h = _double(x, weight_ih, bias_ih, hidden)
    y = np.empty((len(x), len(h)))
    for t in range(len(x)):
        z, n = np.split(W @ x[t] + b, 2)
        h = (1 - _sigmoid(z)) * h + _sigmoid(z) * _CANDIDATES[candidate](n)
        y[t] = h
    return y, h


def min_lstm(
    *,
    x: ArrayLike,
    weight_ih: ArrayLike,
    bias_ih: ArrayLike,
    hidden: ArrayLike,
    candidate: str = "linear",
) -> tuple[Array, Array]:
    """Minimal long short-term memory over one sequence.

    ```
    f_t = sigmoid(W_f x_t + b_f)                    forget gate
    i_t = sigmoid(W_i x_t + b_i)                    input gate
    n_t = candidate(W_h x_t + b_h)                  as in min_gru
    h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * n_t
    y_t = h_t
    ```

    Rows of W `weight_ih` `[3 * hidden, inputs]` and b `bias_ih` `[3 * hidden]` are f, i, h. `x` is `[steps, inputs]`,
    `hidden` `[hidden]`, `candidate` "linear", "tanh" or "positive".
    Returns y `[steps, hidden]` and the last h `[hidden]`; for an empty sequence, no rows and `hidden` itself.

    L. Feng et al.: Were RNNs all we needed? arXiv 2410.01201, 2024. The version that divides by f_t + i_t.

    >>> y, h = min_lstm(x=[[1.0]], weight_ih=[[0.0], [0.0], [4.0]], bias_ih=0.0, hidden=[1.0])
    >>> y.tolist(), h.tolist()
    ([[2.5]], [2.5])
    """
    x, W, b, h = _double(x, weight_ih, bias_ih, hidden)
    y = np.empty((len(x), len(h)))
    for t in range(len(x)):
        f, i, n = np.split(W @ x[t] + b, 3)
        keep = _sigmoid(f) / (_sigmoid(f) + _sigmoid(i))
        h = keep * h + (1 - keep) * _CANDIDATES[candidate](n)
        y[t] = h
    return y, h


def lru(
    *,
    x: ArrayLike,
    nu_log: ArrayLike,
    theta_log: ArrayLike,
    gamma_log: ArrayLike,
    weight_ih: ArrayLike,
    weight_ho: ArrayLike,
    weight_io: ArrayLike,
    bias_o: ArrayLike,
    real: ArrayLike,
    imaginary: ArrayLike,
    activation: str = "relu",
) -> tuple[Array, Array, Array]:
    """Linear recurrent unit over one sequence.

    ```
    Lambda = exp(-exp(nu) + i exp(theta))                   complex, one number a unit, the same at every step
    h_t = Lambda * h_{t-1} + exp(gamma) * (B x_t)
    y_t = activation(Re(C h_t) + D x_t + b)                 max(0, .), or nothing
    ```

    B is `weight_ih` `[2 * units, inputs]`, rows of its real and then of its imaginary part; C is `weight_ho`
    `[hidden, 2 * units]`, columns of its real part and then of minus its imaginary part; D is `weight_io`
    `[hidden, inputs]`, b `bias_o` `[hidden]`; nu, theta, gamma are `[units]`. `x` is `[steps, inputs]`, the initial
    state `real` and `imaginary` `[units]` each, `activation` "relu" or "none".
    Returns y `[steps, hidden]` and both parts of the last h; for an empty sequence, no rows and the given state.

    Differs from the paper: D is a matrix, there is a bias, and the activation stands in the cell.
    A. Orvieto et al.: Resurrecting recurrent neural networks for long sequences. ICML 2023.

    >>> one, zero = [[1.0]], [[0.0]]
    >>> B, C = [[1.0], [0.0]], [[1.0, 0.0]]
    >>> half_turn = {"nu_log": np.log(np.log(2.0)), "theta_log": np.log(np.pi), "gamma_log": 0.0}
    >>> weights = {"weight_ih": B, "weight_ho": C, "weight_io": zero, "bias_o": 0.0}
    >>> y, *_ = lru(x=[[1.0], [0.0]], real=[0.0], imaginary=[0.0], activation="none", **half_turn, **weights)
    >>> y.round(4).tolist()
    [[1.0], [-0.5]]
    """
    x, W, V, D, b, h, imaginary = _double(x, weight_ih, weight_ho, weight_io, bias_o, real, imaginary)
    nu, theta, gamma = _double(nu_log, theta_log, gamma_log)
    units, state = len(h), h + 1j * imaginary
    B, C = W[:units] + 1j * W[units:], V[:, :units] - 1j * V[:, units:]
    y = np.empty((len(x), len(V)))
    for t in range(len(x)):
        state = np.exp(-np.exp(nu) + 1j * np.exp(theta)) * state + np.exp(gamma) * (B @ x[t])
        y[t] = (C @ state).real + D @ x[t] + b
    return (_relu(y) if activation == "relu" else y), state.real, state.imag


def pool_last(*, y: ArrayLike) -> Array:
    """The last step: `p = y_T`. `y` is `[steps, width]`; returns `[width]`, zeros for an empty sequence.

    >>> pool_last(y=[[1.0, 2.0], [3.0, 0.0]]).tolist()
    [3.0, 0.0]
    """
    (y,) = _double(y)
    return y[-1] if len(y) else np.zeros(y.shape[1])


def pool_mean(*, y: ArrayLike) -> Array:
    """The mean over steps: `p = (y_1 + ... + y_T) / T`. `y` is `[steps, width]`; zeros for an empty sequence.

    >>> pool_mean(y=[[1.0, 2.0], [3.0, 0.0]]).tolist()
    [2.0, 1.0]
    """
    (y,) = _double(y)
    mean: Array = y.sum(axis=0) / max(len(y), 1)
    return mean


def pool_max(*, y: ArrayLike) -> Array:
    """The greatest value of each unit: `p = max_t y_t`. `y` is `[steps, width]`; zeros for an empty sequence.

    >>> pool_max(y=[[1.0, 2.0], [3.0, 0.0]]).tolist()
    [3.0, 2.0]
    """
    (y,) = _double(y)
    return y.max(axis=0) if len(y) else np.zeros(y.shape[1])


def pool_attention(*, y: ArrayLike, scores: ArrayLike) -> Array:
    """The mean over steps, weighted by the softmax of one score per step.

    ```
    a_t = exp(scores_t) / (exp(scores_1) + ... + exp(scores_T))
    p   = a_1 y_1 + ... + a_T y_T
    ```

    `y` is `[steps, width]`, `scores` `[steps]`, of any size; returns `[width]`, zeros for an empty sequence. Where the
    scores come from is the caller's affair.
    D. Bahdanau, K. Cho, Y. Bengio: Neural machine translation by jointly learning to align and translate. ICLR 2015.

    >>> pool_attention(y=[[1.0, 2.0], [3.0, 0.0]], scores=[0.0, 0.0]).tolist()
    [2.0, 1.0]
    """
    y, scores = _double(y, scores)
    a = np.exp(scores - scores.max(initial=-np.inf))  # the greatest is exp(0) = 1, so that nothing overflows
    mean: Array = (a @ y) / max(a.sum(), 1.0)  # the sum is at least 1 unless there is no step
    return mean


def _double(*arrays: ArrayLike) -> tuple[Array, ...]:
    return tuple(np.asarray(array, dtype=np.float64) for array in arrays)


def _sigmoid(a: Array) -> Array:
    result: Array = np.exp(-np.logaddexp(0.0, -a))  # 1 / (1 + exp(-a)) that does not overflow
    return result


def _convolved(W: Array, image: Array) -> Array:
    """Convolution of `[channels, height, width]` by `[outputs, channels, kernel, kernel]`, with zeros beyond."""
    kernel, (_, height, width) = W.shape[-1], image.shape
    reach = kernel // 2
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)))
    made = np.zeros((len(W), height, width))
    for row, column in np.ndindex(height, width):
        made[:, row, column] = np.tensordot(W, padded[:, row : row + kernel, column : column + kernel], 3)
    return made


def _standard(v: Array) -> Array:
    result: Array = (v - v.mean()) / np.sqrt(v.var() + 1e-5)
    return result


def _relu(a: Array) -> Array:
    return np.maximum(a, 0.0)


def _positive(a: Array) -> Array:
    return np.where(a >= 0, a + 0.5, _sigmoid(a))


_CANDIDATES: dict[str, Callable[[Array], Array]] = {"linear": lambda a: a, "tanh": np.tanh, "positive": _positive}
