/* optimizers.h: rows for steps of optimizers and for learning rates. A step takes a state, whose first part are the
 * parameters, and their gradient, and gives the next state: they are the body of an `iterate`. t counts steps, from 0. */
/* clang-format off */
FUSES("zeros_like", "|v| map(v, |e| select(true, " ZERO ", e))", "as many zeros")
FUSES("sgd", "|p, g, rate| map(zip(p, g), |e| e.$0 - rate * e.$1)", "p - rate g: a step of gradient descent")
#define PAIR(data, terms) "result(for(" data ", {appender, appender}, |b, i, e| " terms "))"
FUSES("momentum", "|s, g, rate, mu| " PAIR("zip(s.$0, s.$1, g)",
    "let v = mu * e.$1 + e.$2; merge(b, {e.$0 - rate * v, v})"),
    "a step with momentum, s = {p, v}: v = mu v + g, then p = p - rate v")
FUSES("nesterov", "|s, g, rate, mu| " PAIR("zip(s.$0, s.$1, g)",
    "let v = mu * e.$1 + e.$2; merge(b, {e.$0 - rate * (e.$2 + mu * v), v})"),
    "a step with Nesterov's momentum, s = {p, v}: v = mu v + g, then p = p - rate (g + mu v)")
FUSES("adagrad", "|s, g, rate, epsilon| " PAIR("zip(s.$0, s.$1, g)",
    "let v = e.$1 + e.$2 * e.$2; merge(b, {e.$0 - rate * e.$2 / (sqrt(v) + epsilon), v})"),
    "a step of AdaGrad, s = {p, v}: v = v + g^2, then p = p - rate g / (sqrt(v) + epsilon)")
FUSES("adamw", "|s, g, t, rate, beta1, beta2, epsilon, decay| let steps = nn.real(t + 1L, rate); "
    "let c1 = " ONE " - pow(beta1, steps); let c2 = " ONE " - pow(beta2, steps); "
    "result(for(zip(s.$0, s.$1, s.$2, g), {appender, appender, appender}, |b, i, e| "
    "let m = beta1 * e.$1 + (" ONE " - beta1) * e.$3; let v = beta2 * e.$2 + (" ONE " - beta2) * e.$3 * e.$3; "
    "merge(b, {e.$0 - rate * decay * e.$0 - rate * (m / c1) / (sqrt(v / c2) + epsilon), m, v})))",
    "a step of Adam that also takes rate decay p from p")
FUSES("adam", "|s, g, t, rate, beta1, beta2, epsilon| nn.adamw(s, g, t, rate, beta1, beta2, epsilon, " ZERO ")",
    "a step of Adam, s = {p, m, v}: the running means of g and of g^2, both set right for their start from 0")
FUSES("clip", "|g, most| let norm = sqrt(" SUM("g", "e * e") "); "
    "let factor = if(norm > most, most / norm, " ONE "); map(g, |e| factor * e)",
    "g, made as short as `most` if it is longer")
#define AT "nn.real(t, rate)"
FUSES("step_rate", "|rate, t, every, factor| rate * pow(factor, nn.real(t / every, rate))",
    "rate, times a factor after every so many steps (an i64)")
FUSES("exponential_rate", "|rate, t, factor| rate * pow(factor, " AT ")", "rate factor^t")
FUSES("inverse_rate", "|rate, t, decay| rate / (" ONE " + decay * " AT ")", "rate / (1 + decay t)")
FUSES("warmup_rate", "|rate, t, steps| rate * nn.real(min(t + 1L, steps), rate) / nn.real(steps, rate)",
    "from rate / steps up to rate in so many steps, then rate")
FUSES("cosine_rate", "|rate, t, steps| let part = nn.real(min(t, steps), rate) / nn.real(steps, rate); "
    "rate * (" ONE " + cos(acos(-" ONE ") * part)) / (" ONE " + " ONE ")",
    "from rate down to 0 in so many steps, by half a period of a cosine, then 0")
/* clang-format on */
