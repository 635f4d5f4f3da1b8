"""What the commands `alliance tls` and `alliance login` say."""

from typing import Final

from cli.certificate_texts import Text

ACCESS_TEXTS: Final[dict[str, Text]] = {
    "tls-shown": Text(
        "Certificate shown: pin {pin}, until {until}", "当前证书：固定值 {pin}，有效至 {until}"
    ),
    "tls-next": Text(
        "Next certificate: pin {pin}, until {until}", "下一证书：固定值 {pin}，有效至 {until}"
    ),
    "tls-address": Text("Others reach this node at {address}", "其他成员的访问地址：{address}"),
    "login-address": Text("Open {address}", "请打开 {address}"),
    "login-good": Text(
        "Good for {seconds} seconds, and once. Give it to nobody.",
        "{seconds} 秒内有效，且只能使用一次。请勿交给他人。",
    ),
    "tls-restart": Text(
        "A node that runs without TLS takes it up when it starts again.",
        "未启用 TLS 的运行中节点须重启后生效。",
    ),
    "tls-begun": Text(
        "The next certificate has the pin {new}. Both are good from now on.\n"
        "Run the same command again when the other members have read that; a day later is soon "
        "enough.",
        "下一证书的固定值为 {new}。自此两个证书均有效。\n"
        "请在其他成员读到该记录后再次运行同一命令；次日即可。",
    ),
    "tls-done": Text(
        "The node shows the certificate with the pin {new} from now on; {old} is good no more.",
        "节点自此出示固定值为 {new} 的证书；{old} 不再有效。",
    ),
}
